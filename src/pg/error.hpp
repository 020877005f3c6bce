// The only place with PG_TRY: functions that take a callable. Errors are swallowed only after an abort.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

// What a failed call said, copied into the context given to the function that caught it.
struct ErrorReport {
    int sqlstate = 0;
    const char *message = nullptr;
    const char *detail = nullptr;
    const char *hint = nullptr;
    const char *context = nullptr;
};

struct Outcome {
    bool ok = true;
    ErrorReport error;
};

using Call = void (*)(void *);

// Runs fn(arg) in a transaction of its own; on ERROR aborts it and returns the report in `keep`. Must be called outside
// a transaction.
Outcome run_in_transaction_raw(Call fn, void *arg, MemoryContext keep);
// Runs fn(arg) in an internal subtransaction of the current transaction.
Outcome run_in_subtransaction_raw(Call fn, void *arg, MemoryContext keep);
// Runs fn(arg); whether it returns or raises, cleanup(arg2) runs, then the error goes on.
void with_cleanup_raw(Call fn, void *arg, Call cleanup, void *cleanup_arg);
// Runs fn(arg). Its error goes on without the context of what is inside, which is ours and says nothing to users; an
// internal one (class XX) keeps it.
void hide_context_raw(Call fn, void *arg);
// Runs fn(arg) and, on ERROR, aborts whatever transaction is open: for code that itself starts and ends transactions.
Outcome run_then_abort_on_error_raw(Call fn, void *arg, MemoryContext keep);

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
