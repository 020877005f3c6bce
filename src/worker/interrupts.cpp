// How the command that runs now is stopped: by cancel_task (a signal of ours, valid only for the attempt that it names), by its run limit or
// by its ttl. pg_cancel_backend and statement_timeout come as SIGINT and are ordinary failures.
#include "worker/runner.hpp"

#include "dispatch/wake.hpp"

#include <signal.h>

namespace pgqueue::worker::runner {
namespace {

volatile sig_atomic_t reason = 0;
volatile dispatch::EndedBy sender = dispatch::EndedBy::Itself;
constinit int64 running_id = 0;
constinit int32 running_attempt = 0;
constinit Stop limit_reason = Stop::RunLimit;
constinit TimeoutId limit_timeout = MAX_TIMEOUTS;
constinit TimeoutId share_timeout = MAX_TIMEOUTS;
constinit bool limit_armed = false;

constexpr int share_after_ms = 20;

void interrupt(Stop why) {
    if (reason == 0) reason = static_cast<int>(why);
    InterruptPending = true;
    QueryCancelPending = true;
    SetLatch(MyLatch);
}

bool cancel_is_for_us() {
    dispatch::WorkerSlot &w = my_slot();
    return running_id != 0 && static_cast<int64>(pg_atomic_read_u64(&w.cancel_id)) == running_id &&
           static_cast<int32>(pg_atomic_read_u32(&w.cancel_attempt)) == running_attempt;
}

void on_cancel(SIGNAL_ARGS) {
    int saved = errno;
    (void)postgres_signal_arg;
    if (cancel_is_for_us()) interrupt(Stop::Cancelled);
    errno = saved;
}

// As the server's own handler; remembers who sent it. A task that ends its own process was not ordered to.
void on_terminate(int signal, siginfo_t *info, void *) {
    if (info != nullptr && info->si_pid == PostmasterPid)
        sender = dispatch::EndedBy::Shutdown;
    else if (info != nullptr && info->si_pid != MyProcPid)
        sender = dispatch::EndedBy::Order;
    die(signal);
}

// The server ends a session at its transaction_timeout. Only until the transaction is over the timeout tells that it was the cause.
void look_for_timeout(int, Datum) {
    if (sender == dispatch::EndedBy::Itself && pg::transaction_timed_out()) sender = dispatch::EndedBy::Timeout;
}

void on_limit() { interrupt(limit_reason); }

// The task is long: what else was claimed with it goes back to the others.
void on_share() {
    pg_atomic_write_u32(&my_slot().giving_back, 1);
    dispatch::wake_scheduler(my_slot().db);
}

}  // namespace

void install_interrupts() {
    pqsignal(SIGUSR2, on_cancel);
    struct sigaction action {};
    action.sa_sigaction = on_terminate;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, nullptr);
    before_shmem_exit(look_for_timeout, Datum(0));
    limit_timeout = RegisterTimeout(USER_TIMEOUT, on_limit);
    share_timeout = RegisterTimeout(USER_TIMEOUT, on_share);
}

dispatch::EndedBy ended_by() { return sender; }

Stop stop_reason() { return static_cast<Stop>(reason); }

void arm(int64 id, int32 attempt, int64 limit_us, Stop at_limit) {
    reason = 0;
    QueryCancelPending = false;
    running_attempt = attempt;
    limit_reason = at_limit;
    pg_memory_barrier();
    running_id = id;
    pg_memory_barrier();
    // A cancel that came between claim and here.
    if (cancel_is_for_us()) interrupt(Stop::Cancelled);
    constexpr int64 longest = int64(INT_MAX) * 1000;
    limit_armed = limit_us > 0 && limit_us < longest;
    if (limit_armed) enable_timeout_after(limit_timeout, static_cast<int>((limit_us + 999) / 1000));  // not before
    if (pg_atomic_read_u32(&my_slot().n_holds) > 1 && !get_timeout_active(share_timeout)) enable_timeout_after(share_timeout, share_after_ms);
}

void disarm() {
    running_id = 0;
    if (limit_armed) disable_timeout(limit_timeout, false);
    if (get_timeout_active(share_timeout)) disable_timeout(share_timeout, false);
    reason = 0;
    QueryCancelPending = false;
}

}  // namespace pgqueue::worker::runner
