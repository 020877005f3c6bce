// The only place with PG_TRY: functions that take a callable. An error is swallowed only after an abort.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

// The report of a failed call, copied into the memory context that the caller gave.
struct ErrorReport {
    int sqlstate = 0;
    const char *message = nullptr;
    const char *detail = nullptr;
    const char *hint = nullptr;
    const char *context = nullptr;
    const char *raised_by = nullptr;  // the C function that raised it; only of a caught error
};

// Whether a call succeeded, and if not, its error.
struct Outcome {
    bool ok = true;
    ErrorReport error;
};

using Call = void (*)(void *);

// Runs fn(arg) in a new transaction. On ERROR aborts the transaction and returns the report, allocated in `keep`. Must
// be called outside a transaction.
Outcome run_in_transaction_raw(Call fn, void *arg, MemoryContext keep);
// Runs fn(arg) in an internal subtransaction of the current transaction. On ERROR rolls it back and returns the report
// in `keep`.
Outcome run_in_subtransaction_raw(Call fn, void *arg, MemoryContext keep);
// Runs fn(arg), then cleanup(cleanup_arg), also when fn raises. The error is raised again.
void with_cleanup_raw(Call fn, void *arg, Call cleanup, void *cleanup_arg);
// Runs fn(arg). Raises its error again without the inner context, which says nothing to users. An internal error (class
// XX) keeps its context.
void hide_context_raw(Call fn, void *arg);
// Runs fn(arg). On ERROR aborts all open transactions and returns the report in `keep`. For code that starts and ends
// transactions itself.
Outcome run_then_abort_on_error_raw(Call fn, void *arg, MemoryContext keep);

// The same functions for a callable object.
template <typename F>
Outcome run_in_transaction(F &&fn, MemoryContext keep) {
    return run_in_transaction_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}
template <typename F>
Outcome run_in_subtransaction(F &&fn, MemoryContext keep) {
    return run_in_subtransaction_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}
template <typename F>
Outcome run_then_abort_on_error(F &&fn, MemoryContext keep) {
    return run_then_abort_on_error_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}
template <typename F>
void hide_context(F &&fn) {
    hide_context_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}
template <typename F, typename C>
void with_cleanup(F &&fn, C &&cleanup) {
    with_cleanup_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn,
                     [](void *f) { (*static_cast<std::remove_reference_t<C> *>(f))(); }, &cleanup);
}

}  // namespace pgqueue::pg
