#include "task/transitions.hpp"

#include "config/server_settings.hpp"
#include "handover/transaction.hpp"
#include "pg/clock.hpp"
#include "signal/dependency_posts.hpp"
#include "store/outcomes.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_insert.hpp"
#include "store/rows_write.hpp"
#include "task/dedup.hpp"
#include "task/dependencies.hpp"
#include "task/tell_of_failure.hpp"
#include "task/route.hpp"
#include "task/slow_runs.hpp"

namespace pgqueue::task {
namespace {

std::string_view view_of(const text *t) {
    if (t == nullptr) return {};
    return {VARDATA_ANY(t), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(t))};
}

// Returns whether other tasks wait for this one, so that its row has to stay.
bool is_awaited(int64 id) {
    SlotNo db = ensure_my_database();
    return db >= 0 && signal::may_be_awaited(db, id);
}

}  // namespace

void create(const QueueRef &queue, std::span<const store::NewTask> tasks) {
    if (tasks.empty()) return;
    SlotNo lanes[2] = {-1, -1};  // outside, server
    TaskRef one;
    const text *type = nullptr;  // of the server's lane
    TaskRef *refs = tasks.size() == 1
                        ? &one
                        : static_cast<TaskRef *>(palloc_extended(sizeof(TaskRef) * tasks.size(), MCXT_ALLOC_HUGE));
    store::insert(tasks, refs);
    if (queue.slot < 0) return;
    int32 awaiting = 0;
    int64 bytes = 0;
    for (std::size_t i = 0; i < tasks.size(); i++) {
        const store::NewTask &t = tasks[i];
        bytes += store::stored_bytes(t);
        bool server = runs_in_server(*queue.info, t.flags);
        if (lanes[server] < 0 || (server && t.type != type)) {
            lanes[server] = ensure_lane_for(
                queue, server ? runner_of(*queue.info, {t.role_id, t.flags, view_of(t.type)}) : t.role_id, server);
            type = t.type;
        }
        if ((t.flags & flag_waits) != 0) awaiting++;
        TimestampTz due;
        if (!hint_time(t.flags, t.delayed_at, t.dies_at, &due)) continue;
        uint64 group = (t.flags & flag_waits) != 0 ? 0 : store::hash_of_group(t.group_key);
        handover::hint_at_commit({refs[i], lanes[server], t.priority, due, t.dies_at, group, memory::Arrival::Behind});
    }
    announce_created(queue, static_cast<int32>(tasks.size()), awaiting, bytes);
}

namespace {

// Moves a task that failed for good to the dead-letter queue of its queue: the same row, with the queue that it came
// from. Returns the queue where it is now.
QueueRef move_to_dead_letter(store::TaskRow *row, const QueueRef &queue) {
    if (queue.info == nullptr || queue.info->dead_letter == nullptr) return queue;
    const store::QueueInfo *to = store::queue_by_name(queue.info->ns_id, queue.info->dead_letter);
    if (to == nullptr || to->id == queue.info->id) return queue;
    row->origin_queue_id = row->queue_id;
    row->queue_id = to->id;
    return ref_of(*to);
}

// Returns whether the end of an attempt has an outcome row; else the task's row says all.
bool has_outcome(const End &end) {
    return !end.only_if_any || end.error.message != nullptr || end.messages != nullptr ||
           (end.result != nullptr && VARSIZE(end.result) > store::most_result_in_row);
}

void write_outcome(const store::TaskRow &row, const End &end, TimestampTz now) {
    store::append_outcome(row, {end.outcome, end.worker, end.role, end.error, end.result, end.costs, end.messages},
                          now);
    if (row.attempt > config::attempt_history) store::trim_outcomes(row, config::attempt_history);
}

}  // namespace

bool end_attempt(const QueueRef &queue, store::TaskRow *row, const End &end, TimestampTz now, store::Wait wait) {
    const store::TaskRow before = *row;
    row->status = end.status;
    row->lease_until = 0;
    bool finished = !is_unfinished(end.status);
    row->finished_at = finished ? now : 0;
    // Due already: ready at commit, without passing through the scheduler.
    if (end.status == Status::Retry && row->delayed_at <= now) row->delayed_at = 0;
    const QueueRef to = end.status == Status::Failed ? move_to_dead_letter(row, queue) : queue;
    bool drop = end.status == Status::Released && queue.info != nullptr &&
                queue.info->on_finish == store::OnFinish::Delete && !is_awaited(row->ref.id);
    const store::LastAttempt last{end.costs, end.result};
    row->last = has_outcome(end) ? nullptr : &last;
    if (!store::update(row, nullptr, wait)) return false;
    row->last = nullptr;
    if (end.by_worker) note_slow_run(queue, before, *row, end, now);
    if (drop)
        store::remove(row);
    else if (has_outcome(end))
        write_outcome(*row, end, now);
    announce(
        {.from_queue = queue, .to_queue = to, .from = &before, .to = drop ? nullptr : row, .end = &end, .at = now});
    if (!finished) hint_again(to, *row, memory::Arrival::InFront);
    if (end.status == Status::Failed) tell_of_failure(queue, *row, end);
    return true;
}

bool retain(const QueueRef &queue, store::TaskRow *row, const char *worker, int64 receipt, TimestampTz lease_until,
            Held held, TimestampTz now) {
    const store::TaskRow before = *row;
    row->status = Status::Retained;
    row->flags &= static_cast<int16>(~flag_waits);  // run_task does not wait for others
    if (held != Held::Claimed) row->flags &= static_cast<int16>(~flag_own_role);
    row->attempt++;
    row->pid = MyProcPid;
    // A task bound to a process of this server is free after a restart. A lease by time continues after it.
    row->epoch = held == Held::ForATime ? 0 : memory::map.shared->boot_epoch;
    row->receipt = receipt;
    row->started_at = now;
    row->finished_at = 0;
    row->lease_until = lease_until;
    if (!store::update(row, worker, store::Wait::Skip)) return false;
    announce({.from_queue = queue,
              .to_queue = queue,
              .from = &before,
              .to = row,
              .popped = true,
              .begins_later = held == Held::Claimed});
    return true;
}

bool give_back(const QueueRef &queue, store::TaskRow *row, Origin *place) {
    const store::TaskRow before = *row;
    row->attempt--;
    row->status = row->attempt == 0 ? Status::New : Status::Retry;
    row->lease_until = 0;
    if (!store::update(row, nullptr, store::Wait::Skip)) return false;
    announce({.from_queue = queue, .to_queue = queue, .from = &before, .to = row});
    *place = origin_of(queue, *row);
    return true;
}

bool end_waiting(const QueueRef &queue, store::TaskRow *row, Status status, const pg::ErrorReport &error,
                 TimestampTz now, store::Wait wait) {
    const store::TaskRow before = *row;
    row->status = status;
    row->finished_at = now;
    if (error.message != nullptr) {
        // Its outcome needs an attempt number.
        row->attempt++;
        row->uncounted++;
        row->started_at = now;
    }
    if (!store::update(row, nullptr, wait)) return false;
    if (error.message != nullptr) {
        store::OutcomeRow out{status == Status::Cancelled ? AttemptEnd::Cancelled
                              : status == Status::Expired ? AttemptEnd::Expired
                                                          : AttemptEnd::Failed,
                              nullptr,
                              nullptr,
                              error,
                              nullptr,
                              {},
                              nullptr};
        store::append_outcome(*row, out, now);
    }
    announce({.from_queue = queue, .to_queue = queue, .from = &before, .to = row, .at = now});
    return true;
}

int64 revive(const QueueRef &queue, const QueueRef &to, store::TaskRow *row, TimestampTz due, TimestampTz now) {
    const store::TaskRow before = *row;
    bool finished = !is_unfinished(row->status);
    row->queue_id = to.info->id;
    if (int64 holder = finished && (row->flags & flag_keyed) != 0 ? take_key_back(*row) : 0; holder != 0) return holder;
    if (before.queue_id != row->queue_id) row->origin_queue_id = 0;
    row->status = row->attempt == 0 ? Status::New : Status::Retry;
    row->delayed_at = due;
    if ((row->flags & (flag_depends | flag_batch)) != 0) wait_again(to, row);
    if (finished) {
        row->uncounted = row->attempt;
        row->crashes = 0;
        row->flags &= static_cast<int16>(~flag_suspect);
        row->finished_at = 0;
        row->dies_at = to.info->ttl > 0 ? pg::later(due != 0 ? due : now, to.info->ttl) : 0;
    }
    store::update(row, nullptr, store::Wait::Block);
    announce({.from_queue = queue, .to_queue = to, .from = &before, .to = row});
    hint_again(to, *row, finished ? memory::Arrival::Behind : memory::Arrival::InPlace);
    return 0;
}

}  // namespace pgqueue::task
