// Stops the running command: on cancel_task (by a signal that is valid only for the attempt it names), at its run
// limit, or at its ttl. pg_cancel_backend and statement_timeout come as SIGINT and are ordinary failures. The server's
// own timeouts follow the wall clock: if the clock is set back by a day, a timeout comes a day later. So this process
// has a timer of the system, on the monotonic clock. It sends the same signal as cancel_task, and the handler then
// checks all reasons.
#include "worker/interrupts.hpp"

#include "config/server_settings.hpp"
#include "executor/costs.hpp"
#include "memory/wake.hpp"
#include "signal/live_costs.hpp"
#include "worker/worker.hpp"

#include <signal.h>
#include <time.h>

namespace pgqueue::worker::runner {
namespace {

volatile sig_atomic_t reason = 0;
volatile memory::EndedBy sender = memory::EndedBy::Itself;
constinit int64 running_id = 0;
constinit int32 running_attempt = 0;

constexpr int64 share_after = 20 * 1000;
// A command may run on this long after its limit or its time.
constexpr int64 patience_after_limit = 5 * int64(USECS_PER_SEC);
// How often the wall clock is checked at least for a task with dies_at, as the clock may be set forward.
constexpr int64 calendar_look = 60 * int64(USECS_PER_SEC);
// How often others are told what the command has cost so far.
constexpr int64 costs_every = USECS_PER_SEC;

// The alarms of the timer.
struct Alarms {
    pg::Deadline limit;     // run limit
    pg::Deadline calendar;  // next check of the wall clock
    pg::Deadline share;     // the task is long: others get the rest of its batch
    pg::Deadline patience;  // the command runs on after its limit or its time
    pg::Deadline costs;     // tell what it has cost so far

    pg::Deadline first() const { return Min(Min(Min(limit, calendar), Min(share, patience)), costs); }
};
constexpr Alarms no_alarms{never, never, never, never, never};
constinit Alarms alarms = no_alarms;
constinit TimestampTz dies = 0;
constinit timer_t timer{};
constinit pg::Deadline rings = never;  // when the timer rings at the latest; never: it is not set
// While the process changes the alarms, the handler does not touch them, and sets a flag instead.
volatile sig_atomic_t changing = 0;
volatile sig_atomic_t rang_meanwhile = 0;

void interrupt(Stop why) {
    if (reason == 0) reason = static_cast<int>(why);
    InterruptPending = true;
    QueryCancelPending = true;
    SetLatch(MyLatch);
}

bool cancel_is_for_us() {
    memory::WorkerSlot &w = my_slot();
    // A request for an earlier attempt came when that one had just ended.
    return running_id != 0 && w.cancel_id.load() == running_id && w.cancel_attempt.load() <= running_attempt;
}

// Sets the timer if it would ring too late. If it rings early, or for a task that has ended, the handler sets it again.
// So a series of tasks with limits seldom sets it.
void set_timer() {
    pg::Deadline first = alarms.first();
    if (first >= rings) return;
    rings = first;
    int64 at = Max(first.at, 1);  // 0 would stop it
    itimerspec spec{};
    spec.it_value.tv_sec = static_cast<time_t>(at / int64(USECS_PER_SEC));
    spec.it_value.tv_nsec = static_cast<long>(at % int64(USECS_PER_SEC)) * 1000;
    (void)timer_settime(timer, TIMER_ABSTIME, &spec, nullptr);
}

// Returns the next check of the wall clock.
pg::Deadline calendar_alarm(TimestampTz at, const pg::Moment &now) { return Min(now.until(at), now.in(calendar_look)); }

// The task is long: makes the scheduler give the other claimed tasks to other workers.
void give_back_others() {
    my_slot().giving_back.store(true);
    memory::wake_scheduler(my_slot().db);
}

// The command has caught the cancel and runs on. Ends the process, which the command cannot catch.
void end_process() {
    if (sender == memory::EndedBy::Itself)
        sender = reason == static_cast<int>(Stop::Expired) ? memory::EndedBy::Expiry : memory::EndedBy::RunLimit;
    die(SIGTERM);
}

// Handles the alarms that have passed, and sets the timer for the others. Called in the handler, or in the process
// while it holds the handler off.
void look_at_alarms() {
    if (alarms.first() == never) {
        rings = never;
        return;
    }
    pg::Moment now = pg::this_moment();
    if (rings.passed(now)) rings = never;
    if (alarms.limit.passed(now)) {
        alarms.limit = never;
        alarms.patience = now.in(patience_after_limit);
        interrupt(Stop::RunLimit);
    }
    if (alarms.calendar != never) {
        alarms.calendar = dies <= now.wall ? never : calendar_alarm(dies, now);
        if (dies <= now.wall) {
            alarms.patience = now.in(patience_after_limit);
            interrupt(Stop::Expired);
        }
    }
    if (alarms.share.passed(now)) {
        alarms.share = never;
        give_back_others();
    }
    if (alarms.patience.passed(now)) {
        alarms.patience = never;
        end_process();
    }
    if (alarms.costs.passed(now)) {
        alarms.costs = now.in(costs_every);
        signal::show_costs(&my_slot(), executor::costs_since_mark());
    }
    set_timer();
}

// Handles a signal of cancel_task or of the timer.
void on_signal(SIGNAL_ARGS) {
    int saved = errno;
    (void)postgres_signal_arg;
    if (cancel_is_for_us())
        interrupt(Stop::Cancelled);
    else if (my_slot().cancel_id.load() != 0)
        SetLatch(MyLatch);  // it may be late (worker/late_cancel)
    if (changing)
        rang_meanwhile = 1;
    else
        look_at_alarms();
    errno = saved;
}

template <typename F>
void without_handler(F change) {
    changing = 1;
    pg_compiler_barrier();
    change();
    pg_compiler_barrier();
    changing = 0;
    pg_compiler_barrier();
}

void set_alarms(const Alarms &wanted, TimestampTz wanted_dies) {
    without_handler([&] {
        alarms = wanted;
        dies = wanted_dies;
        set_timer();
    });
    while (rang_meanwhile) {
        rang_meanwhile = 0;
        without_handler(look_at_alarms);
    }
}

// Does what the server's own handler does, and remembers the sender. A task that ends its own process counts as no
// order.
void on_terminate(int signal, siginfo_t *info, void *) {
    if (info != nullptr && info->si_pid == PostmasterPid)
        sender = memory::EndedBy::Shutdown;
    else if (info != nullptr && info->si_pid != MyProcPid)
        sender = memory::EndedBy::Order;
    die(signal);
}

// The server ends a session at its transaction_timeout. Only before the transaction ends, the timeout shows that it was
// the cause.
void look_for_timeout(int, Datum) {
    if (sender == memory::EndedBy::Itself && pg::transaction_timed_out()) sender = memory::EndedBy::Timeout;
}

}  // namespace

void install_interrupts() {
    pqsignal(SIGUSR2, on_signal);
    struct sigaction action {};
    action.sa_sigaction = on_terminate;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, nullptr);
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR2;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
        ereport(FATAL, errcode(ERRCODE_INSUFFICIENT_RESOURCES), errmsg("pgqueue worker could not create a timer: %m"),
                errhint("Raise the limit of pending signals (ulimit -i)."));
}

memory::EndedBy ended_by() { return sender; }

Stop stop_reason() { return static_cast<Stop>(reason); }

void arm(const Attempt &attempt) {
    // Only now: the exit callback of memory/users, which aborts the transaction, was registered by the claim. Callbacks
    // run in reverse order.
    static constinit bool looks = false;
    if (!looks) before_shmem_exit(look_for_timeout, Datum(0));
    looks = true;
    reason = 0;
    QueryCancelPending = false;
    running_attempt = attempt.number;
    pg_memory_barrier();
    running_id = attempt.id;
    pg_memory_barrier();
    // A cancel may have come between the claim and now.
    if (cancel_is_for_us()) interrupt(Stop::Cancelled);
    Alarms wanted = no_alarms;
    if (attempt.run_limit > 0) wanted.limit = attempt.began.in(attempt.run_limit);
    if (attempt.dies != 0) wanted.calendar = calendar_alarm(attempt.dies, attempt.began);
    if (my_slot().n_holds.load() > 1) wanted.share = attempt.began.in(share_after);
    if (config::track_costs) wanted.costs = attempt.began.in(costs_every);
    set_alarms(wanted, attempt.dies);
}

void disarm() {
    running_id = 0;
    set_alarms(no_alarms, 0);
    reason = 0;
    QueryCancelPending = false;
}

}  // namespace pgqueue::worker::runner
