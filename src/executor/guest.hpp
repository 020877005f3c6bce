// A task of another role inside a caller's statement (run_task): it runs as its role, gets at nothing of the caller's
// session, and leaves nothing there that would run with the caller's rights. docs/internals/executor.md.
#pragma once
#include "pg/error.hpp"

namespace pgqueue::executor {

// The whole session is the role's, from its login on: then there is nothing to keep apart.
bool is_session_of(Oid role);

// Runs fn(arg) in a subtransaction as a guest of that role. Raises what the caller's own deferred triggers raise, which
// fire first.
pg::Outcome run_as_guest_raw(Oid role, pg::Call fn, void *arg, MemoryContext keep);

template <typename F>
pg::Outcome run_as_guest(Oid role, F &&fn, MemoryContext keep) {
    return run_as_guest_raw(
        role, [](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}

}  // namespace pgqueue::executor
