#include "task/where.hpp"

#include "dispatch/apply.hpp"
#include "handover/transaction.hpp"
#include "memory/roles.hpp"
#include "memory/users.hpp"
#include "pg/testpoint.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "store/segments.hpp"
#include "task/dependencies.hpp"
#include "task/route.hpp"

namespace pgqueue::task {
namespace {

constexpr SlotNo none = -1;

}  // namespace

SlotNo ensure_my_database() {
    static constinit bool told_store = false;
    if (!memory::loaded()) return none;
    SlotNo db = memory::ensure_database(MyDatabaseId);
    if (db >= 0 && !told_store) {
        store::set_current_segment_source(&memory::database(db).current_segment);
        told_store = true;
    }
    return db;
}

SlotNo ensure_entry(const store::QueueInfo &queue) {
    SlotNo db = ensure_my_database();
    if (db < 0) return none;
    PGQUEUE_TESTPOINT("queue-found");
    SlotNo slot = memory::ensure_queue(db, queue.ns_id, queue.id);
    if (!memory::map.queues[slot].configured) {
        dispatch::configure_queue(slot, queue);
        if (const store::NamespaceInfo *n = store::namespace_by_id(queue.ns_id))
            dispatch::configure_namespace(db, {n->id, n->weight, n->max_running, n->paused, n->shares});
        // The queue was looked up before. If it has been deleted since, the commit may have dropped its entry already,
        // and this one is a stray. A commit that comes later finds this entry.
        if (store::read_queue_by_id(queue.id) == nullptr) memory::report_stray(db);
    }
    return slot;
}

QueueRef ref_of(const store::QueueInfo &queue) { return {&queue, ensure_entry(queue)}; }

QueueRef queue_of(const store::TaskRow &row) {
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    return q != nullptr ? ref_of(*q) : QueueRef{};
}

SlotNo ensure_lane_for(const QueueRef &queue, int32 role_id, bool in_server) {
    if (queue.slot < 0) return none;
    SlotNo role = in_server ? memory::ensure_role(memory::map.queues[queue.slot].db, role_id) : none;
    return memory::ensure_lane(queue.slot, role);
}

SlotNo ensure_lane_of(const QueueRef &queue, const store::TaskRow &row) {
    return ensure_lane_for(queue, runner_of(*queue.info, row), runs_in_server(*queue.info, row.flags));
}

bool runs_in_server(const store::QueueInfo &queue, int16 flags) {
    return queue.server || (flags & flags_own_work) != 0;
}

bool hint_of(const QueueRef &queue, const store::TaskRow &row, memory::Arrival arrival, memory::Hint *hint) {
    SlotNo lane = queue.info != nullptr ? ensure_lane_of(queue, row) : none;
    TimestampTz due;
    if (lane < 0 || !hint_time(row.flags, row.delayed_at, row.dies_at, &due)) return false;
    // A task that waits for others is not in its group yet.
    *hint = {row.ref, lane, row.priority, due, row.dies_at, (row.flags & flag_waits) != 0 ? 0 : row.group, arrival};
    return true;
}

void hint_again(const QueueRef &queue, const store::TaskRow &row, memory::Arrival arrival) {
    memory::Hint hint;
    if (hint_of(queue, row, arrival, &hint)) handover::hint_at_commit(hint);
}

Origin origin_of(const QueueRef &queue, const store::TaskRow &row) {
    Origin place;
    place.known = hint_of(queue, row, memory::Arrival::InFront, &place.hint);
    place.hint.due = 0;
    return place;
}

}  // namespace pgqueue::task
