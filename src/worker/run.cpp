// Runs one claimed task and writes its end: released in the task's own transaction, anything else in a second one.
#include "worker/run.hpp"

#include "config/server_settings.hpp"
#include "core/backoff.hpp"
#include "dispatch/limits.hpp"
#include "executor/costs.hpp"
#include "executor/messages.hpp"
#include "executor/parse.hpp"
#include "executor/run.hpp"
#include "executor/session.hpp"
#include "memory/wake.hpp"
#include "pg/errcodes.hpp"
#include "pg/error.hpp"
#include "pg/failure_log.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "signal/cancel.hpp"
#include "signal/live_costs.hpp"
#include "signal/progress.hpp"
#include "signal/running_file.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/own_run.hpp"
#include "task/requested_end.hpp"
#include "task/retry.hpp"
#include "task/route.hpp"
#include "task/row_lock.hpp"
#include "task/transitions.hpp"
#include "worker/interrupts.hpp"
#include "worker/late_cancel.hpp"
#include "worker/own_statements.hpp"
#include "worker/task_log.hpp"
#include "worker/typed.hpp"
#include "worker/worker.hpp"

namespace pgqueue::worker::runner {
namespace {

using memory::Hold;
using memory::HoldState;

// A run up to this long that succeeds leaves no outcome row: the task's row has its costs and a small result.
constexpr int64 brief_run = 100 * 1000;

// The results of a run, for its outcome.
struct Record {
    executor::Result result;
    Costs costs;
    bool ran_outside;  // its effects and its release were not committed together
    int64 began, ran;  // when the command had begun and run, monotonic; 0: it has not
    bool given_back;   // its handler is now for a worker of another role
    task::OwnRun own;
};

// Reads the row of our claim as it is now, with or without its lock, and returns its queue. Raises PQ001 if it was
// taken from us, or if its queue was removed with its tasks.
task::QueueRef fetch_ours(const Claimed &c, bool lock, store::TaskRow *row) {
    bool there = lock ? task::lock_row(c.row.ref, store::Wait::Block, false, row) == store::Locked::Yes
                      : store::fetch(c.row.ref, false, row);
    const task::QueueRef queue = there ? task::queue_of(*row) : task::QueueRef{};
    if (queue.info != nullptr && row->status == Status::Retained && row->receipt == c.row.receipt) return queue;
    if (there && lock) task::let_go(queue, *row);
    ereport(ERROR, errcode(err::receipt_not_valid),
            errmsg("task " INT64_FORMAT " is not held by this worker any more", c.row.ref.id));
    pg_unreachable();
}

task::End end_of(AttemptEnd outcome, Status status, const Record &record) {
    return {.outcome = outcome,
            .status = status,
            .worker = self.name,
            .role = self.role,
            .costs = record.costs,
            .messages = executor::kept_messages()};
}

// Runs the task's command, or the functions for its type. Returns false if this worker must not run it.
bool run_content(Claimed *c, Record *record) {
    if (c->row.command != nullptr) {
        executor::Parsed parsed = executor::parse(c->row.command);
        // Set even if the command raises after it has committed.
        record->result = executor::run(parsed, self.task, &record->ran_outside);
        return true;
    }
    record->result.rows = -1;
    return run_typed(c->row, self.task, &record->result.json);
}

void give_back(const Claimed &c, Record *record) {
    store::TaskRow row;
    const task::QueueRef queue = fetch_ours(c, true, &row);
    record->given_back = true;
    task::Origin unused;  // it is in another role's list
    if (task::give_back(queue, &row, &unused)) task::hint_again(queue, row, memory::Arrival::InFront);
}

// Releases the task, or ends it as the task itself has requested.
void release(const Claimed &c, const Record &record) {
    task::End end = end_of(AttemptEnd::Released, Status::Released, record);
    end.result = record.result.json;
    end.costs.rows = record.result.rows;
    TimestampTz now = GetCurrentTimestamp();
    // The housekeeper may move the row to another segment at this moment. Then it is tried once more, with the row's
    // lock.
    store::TaskRow row;
    for (bool lock : {false, true}) {
        const task::QueueRef queue = fetch_ours(c, lock, &row);
        if (record.ran_outside) row.flags |= flag_top_level;
        task::Ending ending = record.own.decided;
        ending.delay = std::max(ending.delay, least_snooze(row.uncounted));
        task::apply(ending, queue.info, &row, &end, now);
        end.only_if_any = end.status == Status::Released && (row.flags & flag_own_role) != 0 &&
                          record.ran - record.began <= brief_run;
        if (task::end_attempt(queue, &row, end, now, lock ? store::Wait::Block : store::Wait::Skip)) break;
    }
}

// Runs the task and releases it in one transaction, unless the command itself commits.
void run_and_release(Claimed *c, Record *record) {
    if (!run_content(c, record)) {
        run_own_statements([&] { give_back(*c, record); });
        return;
    }
    executor::stop_keeping_messages();
    PGQUEUE_TESTPOINT("worker-ran");
    record->ran = pg::monotonic_now();
    if (config::track_costs) record->costs = executor::costs_since_mark();
    task::decide(&record->own);
    run_own_statements([&] { release(*c, *record); });
    PGQUEUE_TESTPOINT("worker-releasing");
}

// Why an attempt did not succeed.
struct Failure {
    Stop stop;
    pg::ErrorReport error;
};

void write_failure(const Claimed &c, const Failure &f, const Record &record) {
    store::TaskRow row;
    const task::QueueRef queue = fetch_ours(c, true, &row);
    TimestampTz now = GetCurrentTimestamp();
    task::End end = end_of(AttemptEnd::Failed, Status::Failed, record);
    end.error = f.error;
    switch (f.stop) {
        case Stop::Cancelled:
            end.outcome = AttemptEnd::Cancelled;
            end.status = Status::Cancelled;
            if (const char *reason = signal::cancel_reason(my_slot(), c.row.ref.id, c.row.attempt))
                end.error.message = reason;
            break;
        case Stop::Expired:
            end.outcome = AttemptEnd::Expired;
            end.status = Status::Expired;
            end.error.sqlstate = err::expired_while_running;
            end.error.message = "the task expired while it ran";
            break;
        case Stop::RunLimit:
            end.error.sqlstate = err::run_limit;
            end.error.message = "the task ran longer than its run limit";
            end.status = task::after_failure(queue.info, &row, err::run_limit, now);
            break;
        case Stop::None:
            if (record.own.decided.what == task::Ending::What::Failed) {
                task::apply(record.own.decided, queue.info, &row, &end, now);
                break;
            }
            // If its role was dropped while it ran, it is held from now on.
            end.status = task::has_role(*queue.info, row) ? task::after_failure(queue.info, &row, f.error.sqlstate, now)
                                                          : task::uncounted(&row);
            break;
    }
    if (record.ran_outside) row.flags |= flag_top_level;
    task::end_attempt(queue, &row, end, now, store::Wait::Block);
    PGQUEUE_TESTPOINT("worker-recording");
}

// Returns the error as the task's row has it.
pg::ErrorReport shown_error(const Failure &f) {
    pg::ErrorReport error = f.error;
    if (f.stop == Stop::RunLimit) error.sqlstate = err::run_limit;
    if (f.stop == Stop::Expired) error.sqlstate = err::expired_while_running;
    return error;
}

const char *event_of(const Record &record, bool ok) {
    if (!ok) return "failed";
    switch (record.own.decided.what) {
        case task::Ending::What::Snoozed: return "snoozed";
        case task::Ending::What::Cancelled: return "cancelled";
        default: return "completed";
    }
}

// Writes a failure, and retries until it is written: a task must not stay retained by a worker that goes on. If the
// worker ends, the scheduler recovers the task.
void record_failure(const Claimed &c, const Failure &f, const Record &record) {
    for (int failures = 0;; failures++) {
        pg::Outcome out = run_own_transaction([&] { write_failure(c, f, record); }, self.task);
        if (out.ok || out.error.sqlstate == err::receipt_not_valid) return;
        out.error.detail = psprintf("Task " INT64_FORMAT ".", c.row.ref.id);
        pg::log_refusal("pgqueue worker could not record the failure of a task yet", out.error);
        wait_before_retry(failures);
    }
}

// An error that cannot even be copied, for lack of memory, ends the process. `record` is gone then, and the exit aborts
// the transaction.
pg::Outcome run_attempt(Claimed *c, Record *record, const pg::Moment &began) {
    pg::Outcome out;
    task::begin_run(&record->own);
    pg::with_cleanup(
        [&] {
            signal::mark_running(self.slot, c->row.ref.id, c->row.attempt, (c->row.flags & flag_suspect) != 0);
            if (config::track_costs) executor::mark_costs();
            executor::keep_messages();
            out = pg::run_then_abort_on_error(
                [&] {
                    StartTransactionCommand();
                    arm({c->row.ref.id, c->row.attempt, began, c->run_limit, c->row.dies_at});
                    run_and_release(c, record);
                    CommitTransactionCommand();
                },
                self.task);
        },
        [record] {
            executor::stop_keeping_messages();
            task::end_run(&record->own);
        });
    return out;
}

// Returns whether the task is gone, because its queue was purged or deleted since the claim.
bool is_gone(const Claimed &c, const Hold &h) {
    if (!memory::is_dropped(memory::map.queues[h.queue])) return false;
    store::TaskRow row;
    pg::Outcome out = run_own_transaction([&] { fetch_ours(c, false, &row); }, self.task);
    return !out.ok && out.error.sqlstate == err::receipt_not_valid;
}

// Shows the task in pg_stat_activity.
void show_task(const Claimed &c) {
    char name[NAMEDATALEN];
    snprintf(name, sizeof(name), "pgqueue %s/%s " INT64_FORMAT, c.ns, c.queue, c.row.ref.id);
    pgstat_report_appname(name);
}

void end_hold(Hold *h) {
    h->state.store(HoldState::None);
    dispatch::end_running(h->queue, h->group);
}

}  // namespace

void run(Claimed *c) {
    memory::WorkerSlot &w = my_slot();
    Hold &h = w.holds[c->hold];
    if (!h.state.replace(HoldState::Claimed, HoldState::Running)) return;  // taken back
    if (is_gone(*c, h)) {
        end_hold(&h);
        return;
    }
    task::count_start(w.db, c->start, c->row.started_at);
    SetCurrentStatementStartTimestamp();
    pg::Moment began{GetCurrentStatementStartTimestamp(), pg::monotonic_now()};
    w.started.store(began.monotonic);
    signal::clear_progress(&w);
    signal::clear_costs(&w);
    show_task(*c);
    name_in_log(c);
    Record record{};
    record.began = began.monotonic;
    record.own.id = c->row.ref.id;
    record.own.role = GetSessionUserId();
    record.own.memory = self.task;
    pg::Outcome out = run_attempt(c, &record, began);
    Failure failure{stop_reason(), out.error};
    disarm();
    if (!out.ok) {
        if (config::track_costs) record.costs = executor::costs_since_mark();
        PGQUEUE_TESTPOINT("worker-failed");
        record_failure(*c, failure, record);
        if (failure.stop == Stop::Cancelled) forget_cancel();
    }
    signal::clear_running(self.slot);
    end_hold(&h);
    name_in_log(nullptr);
    pgstat_report_appname("pgqueue");
    int64 micros = pg::monotonic_now() - began.monotonic;
    // The number of tasks to take at once depends on their own run time, not on how long the disk takes to confirm a
    // commit.
    int64 work = record.ran != 0 ? record.ran - began.monotonic : micros;
    self.mean_run_us += (static_cast<double>(work) - self.mean_run_us) / 8;
    const pg::ErrorReport error = shown_error(failure);
    if (!record.given_back) log_end_of_task(*c, event_of(record, out.ok), out.ok ? nullptr : &error, micros);
    executor::reset_session();
    pgstat_report_stat(false);  // once a second
    MemoryContextReset(self.task);
}

}  // namespace pgqueue::worker::runner
