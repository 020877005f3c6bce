// Transactions of launcher, schedulers and housekeepers. Everybody waits for whom these wait for, and users can hold
// any lock. So they skip what somebody has in hands (SKIP LOCKED, Wait::Skip, ConditionalLock...), and a lock that is
// waited for all the same is waited for until a limit: the transaction fails then with ERRCODE_LOCK_NOT_AVAILABLE,
// and what it should have done is owed. They have no other way to begin one (.ci/checks/limited-waits).
#pragma once
#include "pg/error.hpp"

namespace pgqueue::pg {

// Runs fn(arg) in a transaction of its own and commits it when fn returns true, else rolls it back; so on ERROR,
// which is reported in `keep`. committed (nullptr: not wanted): whether it was. Must be called outside a transaction.
Outcome run_limited_raw(bool (*fn)(void *), void *arg, MemoryContext keep, bool *committed);

template <typename F>
Outcome run_limited(F &&fn, MemoryContext keep) {
    return run_limited_raw(
        [](void *f) {
            (*static_cast<std::remove_reference_t<F> *>(f))();
            return true;
        },
        &fn, keep, nullptr);
}

// Whether a transaction failed because somebody has a lock.
inline bool met_lock(const Outcome &out) { return !out.ok && out.error.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE; }

}  // namespace pgqueue::pg
