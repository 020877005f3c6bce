// Transactions of launcher, schedulers and housekeepers. All sessions depend on these processes, and users can hold any
// lock. So these processes skip rows and tables that another transaction holds (SKIP LOCKED, Wait::Skip,
// ConditionalLock...). If they wait for a lock anyway, they wait up to a limit. Then the transaction fails with
// ERRCODE_LOCK_NOT_AVAILABLE, and its work remains to be done. They have no other way to begin a transaction
// (.ci/checks/limited-waits).
#pragma once
#include "pg/error.hpp"

namespace pgqueue::pg {

// Runs fn(arg) in a new transaction. Commits it if fn returns true, else rolls it back. On ERROR rolls it back and
// returns the report in `keep`. *committed (nullptr: not wanted): whether it was committed. limit: the longest wait for
// a lock, in microseconds, by a process on which nobody depends; 0: the usual limit. Must be called outside a
// transaction.
Outcome run_limited_raw(bool (*fn)(void *), void *arg, MemoryContext keep, bool *committed, int64 limit = 0);

// The same for a callable object whose transaction is committed unless it raises.
template <typename F>
Outcome run_limited(F &&fn, MemoryContext keep, int64 limit = 0) {
    return run_limited_raw(
        [](void *f) {
            (*static_cast<std::remove_reference_t<F> *>(f))();
            return true;
        },
        &fn, keep, nullptr, limit);
}

// Returns whether a transaction failed because another one holds a lock.
inline bool met_lock(const Outcome &out) { return !out.ok && out.error.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE; }

}  // namespace pgqueue::pg
