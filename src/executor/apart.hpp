// What a session has open, cursors, large objects, advisory locks, is out of reach for code of another role in it, and
// what that leaves open is closed.
#pragma once
#include "pg/error.hpp"

namespace pgqueue::executor {

// Runs fn(arg), which is of another role than the session. The cursors that are open can neither be read nor closed nor
// replaced meanwhile; those that it leaves are closed at its end. 42501 for functions that work with large objects that
// are open, or with advisory locks of the session.
void run_apart_raw(pg::Call fn, void *arg, MemoryContext keep);

template <typename F>
void run_apart(F &&fn, MemoryContext keep) {
    run_apart_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}

// For the hooks that see each call of a function and each utility statement: 42501 as above. EXECUTE runs what the
// other role has prepared.
void check_function_apart(Oid function);
void check_statement_apart(Node *statement);

}  // namespace pgqueue::executor
