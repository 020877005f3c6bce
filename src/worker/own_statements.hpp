// Statements of the worker itself. Whatever settings role and task have made, these may write, wait for locks without a
// limit, and fail without ending the process.
#pragma once
#include "pg/error.hpp"

namespace pgqueue::worker::runner {

// A transaction of the worker itself, and its statements inside a task's transaction.
pg::Outcome run_own_transaction_raw(pg::Call fn, void *arg, MemoryContext keep);
void run_own_statements_raw(pg::Call fn, void *arg);

// The same for callable objects.
template <typename F>
pg::Outcome run_own_transaction(F &&fn, MemoryContext keep) {
    return run_own_transaction_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}
template <typename F>
void run_own_statements(F &&fn) {
    run_own_statements_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}

// Sleeps before a retry, from 10 ms on and twice as long after each failure, at most a second. failures: how many there
// were before. Only the end of the process interrupts it; a cancel is ignored, because the task that it meant has
// ended.
void wait_before_retry(int failures);

}  // namespace pgqueue::worker::runner
