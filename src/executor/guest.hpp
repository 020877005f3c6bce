// Runs a task of another role inside a caller's statement (run_task). The task runs as its role, has no access to the
// caller's session, and leaves nothing there that would run with the caller's rights. See docs/internals/executor.md.
#pragma once
#include "pg/error.hpp"

namespace pgqueue::executor {

// Returns whether the whole session has been the role's since its login. Then nothing has to be kept apart.
bool is_session_of(Oid role);

// Runs fn(arg) in a subtransaction as a guest of that role, and returns its error in `keep`. First fires the caller's
// deferred triggers, and raises what they raise.
pg::Outcome run_as_guest_raw(Oid role, pg::Call fn, void *arg, MemoryContext keep);

// The same for a callable object.
template <typename F>
pg::Outcome run_as_guest(Oid role, F &&fn, MemoryContext keep) {
    return run_as_guest_raw(
        role, [](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}

}  // namespace pgqueue::executor
