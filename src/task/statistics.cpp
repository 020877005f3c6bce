#include "task/statistics.hpp"

#include "handover/statistics.hpp"
#include "pg/guards.hpp"
#include "stats/named.hpp"
#include "stats/totals.hpp"
#include "stats/unsaved.hpp"
#include "store/rows_find.hpp"

namespace pgqueue::task {
namespace {

using handover::add_cost_at_commit;
using handover::add_time_at_commit;
using handover::add_total_at_commit;
using memory::StatNo;

// Statistics of the extension's own queues are not kept.
bool is_counted(SlotNo queue) { return queue >= 0 && memory::map.queues[queue].queue_id >= memory::first_id_of_users; }

// Returns the total for tasks that end with this status.
Total total_of_end(Status status) {
    switch (status) {
        case Status::Released: return Total::Released;
        case Status::Expired: return Total::Expired;
        case Status::Cancelled: return Total::Cancelled;
        default: return Total::Failed;
    }
}

// Returns the entry of a task's type, made with the first task of the type; that of other types if there is no room;
// -1: the task has no type.
StatNo type_of(SlotNo queue, const store::TaskRow &row) {
    if (row.type_hash == no_type) return -1;
    StatNo no = stats::find_named(StatKind::Type, queue, row.type_hash);
    if (no < 0 && row.type_hash != long_type && stats::has_room(StatKind::Type, queue)) {
        pg::TempContext scratch;
        const char *name = store::fetch_type(row.ref);
        if (name != nullptr) no = stats::make_named(StatKind::Type, queue, hash_of_type(name), name);
    }
    return no >= 0 ? no : memory::others_of(queue);
}

// Returns the entry of the session's role in the namespace of a queue; -1: there is no room.
StatNo my_role_in(SlotNo queue) {
    const SlotNo ns = memory::map.queues[queue].ns;
    const Oid role = GetUserId();
    const StatNo no = stats::find_named(StatKind::Role, ns, role);
    return no >= 0 || !stats::has_room(StatKind::Role, ns) ? no : stats::make_named(StatKind::Role, ns, role, "");
}

// The entries to which an attempt adds: of the queue, the type, and the role of the worker (-1 none).
struct Entries {
    SlotNo queue;
    StatNo type, role;

    void total(Total kind) const {
        for (StatNo no : {queue, type, role})
            if (no >= 0) add_total_at_commit(no, kind, 1);
    }
    void cost(RunCost kind, int64 amount) const {
        for (StatNo no : {queue, type, role})
            if (no >= 0 && amount > 0) add_cost_at_commit(no, kind, amount);
    }
    void time(Time kind, int64 us) const {
        for (StatNo no : {queue, type})
            if (no >= 0) add_time_at_commit(no, kind, us);
    }
};

// Returns since when a waiting task could be taken. One that was retried at once has no due time: it has waited since
// its last attempt began, at the earliest.
TimestampTz waits_since(const store::TaskRow &row) { return Max(Max(row.created_at, row.delayed_at), row.started_at); }

void add_retain(const Transition &t) {
    const SlotNo queue = t.to_queue.slot;
    const Entries entries{queue, type_of(queue, *t.to), my_role_in(queue)};
    entries.total(Total::Retained);
    entries.time(Time::Wait, t.to->started_at - waits_since(*t.from));
}

void add_costs(const Entries &entries, const End &end) {
    const std::pair<RunCost, int64> all[] = {{RunCost::CpuMicros, end.costs.cpu_us},
                                             {RunCost::WalBytes, end.costs.wal_bytes},
                                             {RunCost::BlocksHit, end.costs.blocks_hit},
                                             {RunCost::BlocksRead, end.costs.blocks_read},
                                             {RunCost::BlocksDirtied, end.costs.blocks_dirtied},
                                             {RunCost::TempBytes, end.costs.temp_bytes},
                                             {RunCost::Rows, end.costs.rows}};
    for (const auto &[cost, amount] : all) entries.cost(cost, amount);
}

// Returns whether the attempt counts for the role of its worker.
bool is_by_worker(const End &end) {
    return (end.outcome == AttemptEnd::Released || end.outcome == AttemptEnd::Failed) && end.by_worker;
}

// An attempt has ended. A lost one has no end of its own, and one that was snoozed has not done its work.
void add_attempt(const Transition &t) {
    const SlotNo queue = t.from_queue.slot;
    const End &end = *t.end;
    const Entries entries{queue, type_of(queue, *t.from), is_by_worker(end) ? my_role_in(queue) : -1};
    add_costs(entries, end);
    if (end.outcome == AttemptEnd::Lost)
        add_total_at_commit(queue, Total::Rescued, 1);
    else if (end.outcome == AttemptEnd::Failed && end.status == Status::Retry)
        entries.total(Total::Retried);
    if (end.status == Status::Released || end.status == Status::Failed)
        for (StatNo no : {entries.type, entries.role})
            if (no >= 0) add_total_at_commit(no, total_of_end(end.status), 1);
    if (end.outcome == AttemptEnd::Lost || end.outcome == AttemptEnd::Snoozed) return;
    const int64 ran = Max(t.at - t.from->started_at, int64{0});
    entries.time(Time::Run, ran);
    entries.cost(RunCost::RunMicros, ran);
}

}  // namespace

Start start_of(const QueueRef &queue, const store::TaskRow &waiting) {
    if (!is_counted(queue.slot)) return {};
    return {queue.slot, type_of(queue.slot, waiting), my_role_in(queue.slot), waits_since(waiting)};
}

void count_start(SlotNo db, const Start &start, TimestampTz retained) {
    if (start.queue < 0) return;
    const int64 waited = Max(retained - start.waits_since, int64{0});
    const int bucket = histogram::bucket_of(waited);
    TimestampTz now = 0;
    for (StatNo no : {start.queue, start.type, start.role}) {
        if (no < 0) continue;
        stats::add_total(no, Total::Retained, 1);
        now = stats::mark_unsaved(no, now);
        if (no == start.role) continue;
        (void)stats::prepare_times(no, Time::Wait);
        stats::add_times(no, Time::Wait, bucket, 1, waited, waited);
    }
    stats::save_soon(db, now);
}

void add_created_to_statistics(const QueueRef &queue, int32 count, int64 bytes) {
    if (!is_counted(queue.slot)) return;
    add_total_at_commit(queue.slot, Total::CreatedBytes, bytes);
    add_total_at_commit(queue.slot, Total::Created, count);
}

void add_to_statistics(const Transition &t) {
    const SlotNo from = is_counted(t.from_queue.slot) ? t.from_queue.slot : -1;
    const SlotNo to = is_counted(t.to_queue.slot) ? t.to_queue.slot : -1;
    const bool was_unfinished = is_unfinished(t.from->status);
    // A row that is deleted with its end has the status of that end.
    const bool vanishes = t.to == nullptr && t.end == nullptr;
    const Status status = t.to != nullptr ? t.to->status : t.end != nullptr ? t.end->status : t.from->status;
    const bool ends = was_unfinished && !vanishes && !is_unfinished(status);
    if (from >= 0 && t.from->status == Status::Retained && t.end != nullptr) add_attempt(t);
    if (from >= 0 && ends) {
        add_total_at_commit(from, total_of_end(status), 1);
        add_time_at_commit(from, Time::Whole, t.at - t.from->created_at);
        if (status == Status::Failed && from != to) add_total_at_commit(from, Total::DeadLettered, 1);
        return;
    }
    if (to >= 0 && status == Status::Retained && t.from->status != Status::Retained && !t.begins_later) add_retain(t);
    const bool moved = was_unfinished && !vanishes && from != to;
    if (from >= 0 && was_unfinished && (vanishes || moved)) add_total_at_commit(from, Total::Left, 1);
    if (to >= 0 && (moved || (!was_unfinished && !vanishes && is_unfinished(status))))
        add_total_at_commit(to, Total::Arrived, 1);
}

}  // namespace pgqueue::task
