#include "task/lifecycle.hpp"

#include "config/settings.hpp"
#include "dispatch/awaited.hpp"
#include "dispatch/incidents.hpp"
#include "dispatch/look.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/xact.hpp"
#include "pg/clock.hpp"
#include "pg/errcodes.hpp"
#include "store/segments.hpp"
#include "task/dedup.hpp"
#include "task/retry.hpp"
#include "task/route.hpp"
#include "task/workflow.hpp"

namespace pgqueue::task {
namespace {

constexpr SlotNo none = -1;

SlotNo my_database() {
    static constinit bool told_store = false;
    if (!dispatch::loaded()) return none;
    SlotNo db = dispatch::ensure_database(MyDatabaseId);
    if (db >= 0 && !told_store) {
        store::set_current_segment_source(&dispatch::database(db).current_segment);
        told_store = true;
    }
    return db;
}

void note_change_of(int32 queue_id, int from, int to) {
    const store::QueueInfo *q = store::queue_by_id(queue_id);
    SlotNo slot = q ? slot_of(*q) : none;
    if (slot >= 0 && from != to) dispatch::note_count(slot, from, to, 1);
}

std::string_view view_of(const text *t) {
    if (t == nullptr) return {};
    return {VARDATA_ANY(t), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(t))};
}

void note_change(const store::TaskRow &row, int from, int to) { note_change_of(row.queue_id, from, to); }

// Dependents are told at commit.
void note_end(const store::TaskRow &row) {
    dispatch::note_finished(row.ref.id);
    if ((row.flags & (flag_depends | flag_batch)) != 0) dispatch::note_settle(row.ref.id);
}

// Its row has to stay for those who wait for it.
bool is_awaited(int64 id) {
    SlotNo db = my_database();
    return db >= 0 && dispatch::may_be_awaited(db, id);
}

}  // namespace

dispatch::QueueConfig config_of(const store::QueueInfo &q) {
    return {q.id, q.ns_id, q.paused, q.paused_until, q.max_running, q.rate_limit, q.rate_burst, q.aging, q.group_max_running, q.group_rate_limit, q.group_pass};
}

SlotNo slot_of(const store::QueueInfo &queue) {
    SlotNo db = my_database();
    if (db < 0) return none;
    SlotNo slot = dispatch::ensure_queue(db, queue.ns_id, queue.id);
    if (!dispatch::map.queues[slot].configured) {
        dispatch::configure_queue(slot, config_of(queue));
        if (const store::NamespaceInfo *n = store::namespace_by_id(queue.ns_id))
            dispatch::configure_namespace(db, {n->id, n->weight, n->max_running, n->paused, n->shares});
    }
    return slot;
}

void count_unhinted(const store::TaskRow &row, int by) {
    if (is_unhinted(row)) note_change_of(row.queue_id, by < 0 ? dispatch::unhinted : -1, by < 0 ? -1 : dispatch::unhinted);
}

void note_left_group(const store::TaskRow &row) {
    const store::QueueInfo *q = row.group != 0 ? store::queue_by_id(row.queue_id) : nullptr;
    SlotNo slot = q ? slot_of(*q) : none;
    if (slot >= 0) dispatch::note_left_group(slot, row.group, row.ref.id);
}

bool runs_in_server(const store::QueueInfo &queue, int16 flags) { return queue.server || (flags & flag_command) != 0; }

SlotNo lane_of(const store::QueueInfo &queue, int32 role_id, bool in_server) {
    SlotNo slot = slot_of(queue);
    if (slot < 0) return none;
    SlotNo role = in_server ? dispatch::ensure_role(dispatch::map.queues[slot].db, role_id) : none;
    return dispatch::ensure_lane(slot, role);
}

SlotNo lane_of_row(const store::QueueInfo &queue, const store::TaskRow &row) { return lane_of(queue, runner_of(queue, row), runs_in_server(queue, row.flags)); }

namespace {

// Tells health since when tasks are refused.
bool is_full(pg_atomic_uint64 *since, int64 depth, int64 max_depth) {
    const bool full = max_depth > 0 && depth > max_depth;
    if (full != (pg_atomic_read_u64(since) != 0)) pg_atomic_write_u64(since, full ? static_cast<uint64>(pg::monotonic_now()) : 0);
    return full;
}

}  // namespace

Full no_room_for(const store::NamespaceInfo &ns, const store::QueueInfo &q, int64 more, int64 elsewhere) {
    SlotNo slot = q.max_depth > 0 || ns.max_depth > 0 ? slot_of(q) : none;
    if (slot < 0) return {};
    int64 depth = dispatch::unfinished(slot);
    if (is_full(&dispatch::map.queues[slot].full_since, depth + more, q.max_depth)) return {"queue", q.name, depth, q.max_depth};
    if (ns.max_depth <= 0) return {};
    SlotNo ns_slot = dispatch::map.queues[slot].ns;
    depth = dispatch::unfinished_of_namespace(ns_slot);
    if (is_full(&dispatch::map.namespaces[ns_slot].full_since, depth + more + elsewhere, ns.max_depth)) return {"namespace", ns.name, depth, ns.max_depth};
    return {};
}

void create(const store::QueueInfo &queue, std::span<const store::NewTask> tasks) {
    if (tasks.empty()) return;
    SlotNo slot = slot_of(queue);
    SlotNo lanes[2] = {none, none};  // outside, server
    TaskRef one;
    const text *type = nullptr;  // of the server's lane
    TaskRef *refs = tasks.size() == 1 ? &one : static_cast<TaskRef *>(palloc_extended(sizeof(TaskRef) * tasks.size(), MCXT_ALLOC_HUGE));
    store::insert(tasks, refs);
    if (slot < 0) return;
    int32 without_hint = 0;
    for (std::size_t i = 0; i < tasks.size(); i++) {
        const store::NewTask &t = tasks[i];
        bool server = runs_in_server(queue, t.flags);
        if (lanes[server] < 0 || (server && t.type != type)) {
            lanes[server] = lane_of(queue, server ? runner_of(queue, {t.role_id, t.flags, view_of(t.type)}) : t.role_id, server);
            type = t.type;
        }
        TimestampTz due;
        if (!hint_time(t.flags, t.delayed_at, t.dies_at, &due)) {
            without_hint++;
            continue;
        }
        uint64 group = (t.flags & flag_waits) != 0 ? 0 : store::hash_of_group(t.group_key);
        dispatch::note_task({refs[i], lanes[server], t.priority, due, t.dies_at, group, dispatch::Comes::New});
    }
    dispatch::note_count(slot, -1, static_cast<int>(Status::New), static_cast<int32>(tasks.size()));
    if (without_hint > 0) dispatch::note_count(slot, -1, dispatch::unhinted, without_hint);
}

bool hint_of(const store::QueueInfo &queue, const store::TaskRow &row, dispatch::Comes comes, dispatch::Hint *hint) {
    SlotNo lane = lane_of_row(queue, row);
    TimestampTz due;
    if (lane < 0 || !hint_time(row.flags, row.delayed_at, row.dies_at, &due)) return false;
    // One that waits for others is not in its group yet.
    *hint = {row.ref, lane, row.priority, due, row.dies_at, (row.flags & flag_waits) != 0 ? 0 : row.group, comes};
    return true;
}

void hint_again(const store::TaskRow &row, dispatch::Comes comes) {
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    dispatch::Hint hint;
    if (q != nullptr && hint_of(*q, row, comes, &hint)) dispatch::note_task(hint);
}

void touch(const store::TaskRow &row) {
    const store::QueueInfo *q = is_waiting(row.status) ? store::queue_by_id(row.queue_id) : nullptr;
    dispatch::Hint hint;
    if (q != nullptr && hint_of(*q, row, dispatch::Comes::Changed, &hint)) dispatch::note_touched(hint);
}

void let_go(const store::TaskRow &row) {
    if (!is_waiting(row.status)) return;
    touch(row);
    hint_again(row, dispatch::Comes::Changed);
}

namespace {

// A task that failed for good moves to the dead-letter queue of its queue: the same row, with the queue that it came from.
void move_to_dead_letter(store::TaskRow *row, const store::QueueInfo *queue) {
    if (queue == nullptr || queue->dead_letter == nullptr) return;
    const store::QueueInfo *to = store::queue_by_name(queue->ns_id, queue->dead_letter);
    if (to == nullptr || to->id == queue->id) return;
    row->origin_queue_id = row->queue_id;
    row->queue_id = to->id;
}

// A count leaves one queue and appears in another one, or the same.
void note_move(int32 from_queue, int from, int32 to_queue, int to) {
    if (from_queue == to_queue) {
        note_change_of(to_queue, from, to);
        return;
    }
    note_change_of(from_queue, from, -1);
    note_change_of(to_queue, -1, to);
}

// What somebody should look at is remembered for view health.
void note_trouble(int64 id, int sqlstate) {
    SlotNo db = my_database();
    if (db < 0) return;
    if (sqlstate == err::quarantined) dispatch::note_incident(db, dispatch::Incident::Quarantined, id);
    if (sqlstate == err::handler_not_found) dispatch::note_incident(db, dispatch::Incident::NoHandler, id);
}

}  // namespace

bool end_attempt(store::TaskRow *row, const End &end, TimestampTz now, store::Wait wait) {
    Status from = row->status;
    const store::QueueInfo *queue = store::queue_by_id(row->queue_id);
    row->status = end.status;
    row->lease_until = 0;
    bool finished = !is_unfinished(end.status);
    row->finished_at = finished ? now : 0;
    int32 from_queue = row->queue_id;
    // Due already: ready with the commit, without a way through the scheduler.
    if (end.status == Status::Retry && row->delayed_at <= now) row->delayed_at = 0;
    if (end.status == Status::Failed) move_to_dead_letter(row, queue);
    bool drop = finished && queue != nullptr && queue->on_finish == store::OnFinish::Delete && end.status == Status::Released && !is_awaited(row->ref.id);
    if (!store::update(row, nullptr, wait)) return false;
    store::OutcomeRow out{end.outcome, end.worker, end.role, end.error, end.result, end.cpu_seconds, end.wal_bytes, end.row_count};
    bool told = !end.only_if_told || end.result != nullptr || end.error.message != nullptr;
    if (drop)
        store::remove(row);
    else if (told)
        store::append_outcome(*row, out, now);
    if (!drop && told && row->attempt > config::attempt_history) store::trim_outcomes(*row, config::attempt_history);
    note_trouble(row->ref.id, end.error.sqlstate);
    note_move(from_queue, static_cast<int>(from), row->queue_id, drop ? -1 : static_cast<int>(end.status));
    if (finished)
        note_end(*row);
    else
        hint_again(*row, dispatch::Comes::Again);
    return true;
}

bool retain(store::TaskRow *row, const char *worker, int64 receipt, TimestampTz lease_until, bool bound, TimestampTz now) {
    Status from = row->status;
    const store::TaskRow before = *row;
    row->status = Status::Retained;
    row->flags &= static_cast<int16>(~flag_waits);  // run_task does not wait for others
    row->attempt++;
    row->pid = MyProcPid;
    // What ends with a process of this server is free after a restart; a lease by time holds over it.
    row->epoch = bound ? dispatch::map.shared->boot_epoch : 0;
    row->receipt = receipt;
    row->started_at = now;
    row->finished_at = 0;
    row->lease_until = lease_until;
    if (!store::update(row, worker, store::Wait::Skip)) return false;
    count_unhinted(before, -1);
    note_change(*row, static_cast<int>(from), static_cast<int>(Status::Retained));
    return true;
}

Place place_of(const store::TaskRow &row) {
    Place place;
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    place.known = q != nullptr && hint_of(*q, row, dispatch::Comes::Again, &place.hint);
    place.hint.due = 0;
    return place;
}

bool give_back(store::TaskRow *row, Place *place) {
    row->attempt--;
    row->status = row->attempt == 0 ? Status::New : Status::Retry;
    row->lease_until = 0;
    if (!store::update(row, nullptr, store::Wait::Skip)) return false;
    note_change(*row, static_cast<int>(Status::Retained), static_cast<int>(row->status));
    *place = place_of(*row);
    return true;
}

bool charge_crash(store::TaskRow *row, int sqlstate, const char *message, TimestampTz now) {
    row->crashes++;
    row->uncounted++;
    row->flags |= flag_suspect;
    row->delayed_at = now;
    bool quarantine = config::max_crashes > 0 && row->crashes >= config::max_crashes;
    End end{};
    end.outcome = quarantine ? AttemptEnd::Failed : AttemptEnd::Lost;
    end.status = quarantine ? Status::Failed : Status::Retry;
    end.error.sqlstate = quarantine ? err::quarantined : sqlstate;
    end.error.message = quarantine ? psprintf("quarantined after %d crashes: %s", row->crashes, message) : message;
    end.cpu_seconds = -1;
    end.wal_bytes = end.row_count = -1;
    return end_attempt(row, end, now, store::Wait::Skip);
}

bool charge_terminated(store::TaskRow *row, TimestampTz now) {
    const char *message = "the worker process was terminated by administrator command";
    if (row->uncounted >= uncounted_most) return charge_crash(row, ERRCODE_ADMIN_SHUTDOWN, message, now);
    row->uncounted++;
    row->delayed_at = now;
    End end{};
    end.outcome = AttemptEnd::Lost;
    end.status = Status::Retry;
    end.error.sqlstate = ERRCODE_ADMIN_SHUTDOWN;
    end.error.message = message;
    end.cpu_seconds = -1;
    end.wal_bytes = end.row_count = -1;
    return end_attempt(row, end, now, store::Wait::Skip);
}

bool fail_stopped(store::TaskRow *row, int sqlstate, const char *message, TimestampTz now) {
    End end{};
    end.outcome = AttemptEnd::Failed;
    end.status = after_failure(row, store::queue_by_id(row->queue_id), sqlstate, now);
    end.error.sqlstate = sqlstate;
    end.error.message = message;
    end.cpu_seconds = -1;
    end.wal_bytes = end.row_count = -1;
    return end_attempt(row, end, now, store::Wait::Skip);
}

bool end_waiting(store::TaskRow *row, Status status, const pg::ErrorReport &error, TimestampTz now, store::Wait wait) {
    Status from = row->status;
    const store::TaskRow before = *row;
    row->status = status;
    row->finished_at = now;
    if (error.message != nullptr) {
        // Its record needs a number among the attempts.
        row->attempt++;
        row->uncounted++;
        row->started_at = now;
    }
    if (!store::update(row, nullptr, wait)) return false;
    if (error.message != nullptr) {
        store::OutcomeRow out{status == Status::Cancelled ? AttemptEnd::Cancelled : status == Status::Expired ? AttemptEnd::Expired : AttemptEnd::Failed,
                              nullptr, nullptr, error, nullptr, -1, -1, -1};
        store::append_outcome(*row, out, now);
    }
    count_unhinted(before, -1);
    note_change(*row, static_cast<int>(from), static_cast<int>(status));
    note_left_group(*row);
    note_end(*row);
    return true;
}

int64 revive(store::TaskRow *row, const store::QueueInfo &queue, TimestampTz due, TimestampTz now) {
    Status from = row->status;
    int32 from_queue = row->queue_id;
    bool finished = !is_unfinished(from);
    count_unhinted(*row, -1);
    row->queue_id = queue.id;
    if (int64 holder = finished && (row->flags & flag_keyed) != 0 ? take_key_back(*row) : 0; holder != 0) return holder;
    if (from_queue != queue.id) row->origin_queue_id = 0;
    row->status = row->attempt == 0 ? Status::New : Status::Retry;
    row->delayed_at = due;
    if ((row->flags & (flag_depends | flag_batch)) != 0) wait_again(row);
    if (finished) {
        row->uncounted = row->attempt;
        row->crashes = 0;
        row->flags &= static_cast<int16>(~flag_suspect);
        row->finished_at = 0;
        row->dies_at = queue.ttl > 0 ? pg::later(due != 0 ? due : now, queue.ttl) : 0;
    }
    store::update(row, nullptr, store::Wait::Block);
    count_unhinted(*row, 1);
    note_move(from_queue, static_cast<int>(from), queue.id, static_cast<int>(row->status));
    hint_again(*row, finished ? dispatch::Comes::New : dispatch::Comes::Changed);
    return 0;
}

}  // namespace pgqueue::task
