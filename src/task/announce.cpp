#include "task/announce.hpp"

#include "handover/actions.hpp"
#include "handover/counts.hpp"
#include "pg/errcodes.hpp"
#include "signal/incidents.hpp"
#include "store/rows.hpp"
#include "task/dependencies.hpp"
#include "task/statistics.hpp"

namespace pgqueue::task {
namespace {

constexpr int nowhere = -1;

void count(const QueueRef &queue, int from, int to) {
    if (queue.slot >= 0 && from != to) handover::count_at_commit(queue.slot, from, to, 1);
}

void count_status(const Transition &t) {
    int from = static_cast<int>(t.from->status), to = t.to != nullptr ? static_cast<int>(t.to->status) : nowhere;
    if (t.to == nullptr || t.from_queue.slot == t.to_queue.slot) {
        count(t.from_queue, from, to);
    } else {
        count(t.from_queue, from, nowhere);
        count(t.to_queue, nowhere, to);
    }
}

void count_awaiting(const Transition &t) {
    if (waits_for_others(*t.from)) count(t.from_queue, memory::awaiting, nowhere);
    if (t.to != nullptr && waits_for_others(*t.to)) count(t.to_queue, nowhere, memory::awaiting);
}

bool leaves_group(const Transition &t) {
    if (!is_waiting(t.from->status) || t.popped) return false;
    return t.to == nullptr || !is_waiting(t.to->status) || t.from->group != t.to->group ||
           t.from->queue_id != t.to->queue_id;
}

// Announces the end of a task to sessions and tasks that wait for it.
void announce_end(const QueueRef &queue, const store::TaskRow &row) {
    handover::finish_at_commit(namespace_of(queue), row.ref.id);
    if ((row.flags & (flag_depends | flag_batch)) != 0) handover::settle_at_commit(namespace_of(queue), row.ref.id);
}

// Records an incident for view health.
void record_trouble(const Transition &t) {
    const int sqlstate = t.end->error.sqlstate;
    memory::Incident kind;
    if (sqlstate == err::quarantined)
        kind = memory::Incident::Quarantined;
    else if (sqlstate == err::handler_not_found)
        kind = memory::Incident::NoHandler;
    else if (t.end->status == Status::Failed && t.from->attempt > 1)
        kind = memory::Incident::Failed;
    else
        return;
    if (SlotNo db = ensure_my_database(); db >= 0) signal::record_incident(db, kind, t.from->ref.id);
}

}  // namespace

void announce(const Transition &t) {
    count_status(t);
    count_awaiting(t);
    add_to_statistics(t);
    if (leaves_group(t)) leave_group(t.from_queue, *t.from);
    bool ends = t.to == nullptr || (is_unfinished(t.from->status) && !is_unfinished(t.to->status));
    if (ends) announce_end(t.from_queue, *t.from);
    if (t.end != nullptr) record_trouble(t);
}

void announce_created(const QueueRef &queue, int32 count, int32 awaiting, int64 bytes) {
    if (queue.slot < 0) return;
    handover::count_at_commit(queue.slot, nowhere, static_cast<int>(Status::New), count);
    add_created_to_statistics(queue, count, bytes);
    if (awaiting > 0) handover::count_at_commit(queue.slot, nowhere, memory::awaiting, awaiting);
}

void announce_removed(const QueueRef &queue, const store::TaskRow &row) {
    count(queue, static_cast<int>(row.status), nowhere);
}

void leave_group(const QueueRef &queue, const store::TaskRow &row) {
    if (row.group != 0 && queue.slot >= 0) handover::leave_group_at_commit(queue.slot, row.group, row.ref.id);
}

}  // namespace pgqueue::task
