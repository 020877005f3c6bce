// Statements of the worker itself, which run in the session of a role, between and within the transactions of its
// tasks.
#include "worker/own_statements.hpp"

#include "worker/worker.hpp"

namespace pgqueue::worker::runner {
namespace {

// Limits that the role, the database or an earlier task has set.
struct Limits {
    int lock, transaction;
};

// Lifts the limits. An error of ours never ends the process. The value that a task has given exit_on_error is not
// restored.
Limits lift() {
    ExitOnAnyError = false;
    return {std::exchange(LockTimeout, 0), pg::swap_transaction_timeout(0)};
}

void put_back(const Limits &limits) {
    LockTimeout = limits.lock;
    (void)pg::swap_transaction_timeout(limits.transaction);
}

}  // namespace

pg::Outcome run_own_transaction_raw(pg::Call fn, void *arg, MemoryContext keep) {
    const Limits before = lift();
    pg::Outcome out = pg::run_in_transaction(
        [&] {
            XactIsoLevel = XACT_READ_COMMITTED;
            XactReadOnly = false;
            XactDeferrable = false;
            fn(arg);
        },
        keep);
    put_back(before);
    return out;
}

void run_own_statements_raw(pg::Call fn, void *arg) {
    const bool read_only = std::exchange(XactReadOnly, false);
    const Limits before = lift();
    pg::with_cleanup([&] { fn(arg); },
                     [&] {
                         XactReadOnly = read_only;
                         put_back(before);
                     });
}

void wait_before_retry(int failures) {
    constexpr int first_ms = 10, longest_ms = 1000;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                    Min(first_ms << Min(failures, 10), longest_ms), pg::wait_event("PgqueueWorkerRetry"));
    ResetLatch(MyLatch);
    QueryCancelPending = false;
    CHECK_FOR_INTERRUPTS();
}

}  // namespace pgqueue::worker::runner
