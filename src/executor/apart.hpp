// Keeps a session's open cursors, large objects and advisory locks out of reach of code of another role in that
// session, and closes cursors that this code leaves open.
#pragma once
#include "pg/error.hpp"

namespace pgqueue::executor {

// Runs fn(arg), which belongs to another role than the session. Cursors that are open before can be neither read nor
// closed nor replaced meanwhile. Cursors that fn leaves open are closed. Functions on open large objects and on
// advisory locks of the session raise 42501.
void run_apart_raw(pg::Call fn, void *arg, MemoryContext keep);

// The same for a callable object.
template <typename F>
void run_apart(F &&fn, MemoryContext keep) {
    run_apart_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}

// For the hooks that see each call of a function and each utility statement. Raise 42501 while code of another role
// runs, for the functions above and for EXECUTE, which would run what the other role has prepared.
void check_function_apart(Oid function);
void check_statement_apart(Node *statement);

}  // namespace pgqueue::executor
