#include "task/may_run.hpp"

#include "dispatch/filing.hpp"
#include "memory/wake.hpp"
#include "store/rows.hpp"
#include "task/dependencies.hpp"
#include "task/row_lock.hpp"

namespace pgqueue::task {

Verdict judge(const store::TaskRow &row, int32 queue_id, uint64 group, TimestampTz now) {
    if (!is_waiting(row.status) || row.queue_id != queue_id) return Verdict::Stale;
    if (row.dies_at != 0 && row.dies_at <= now) return Verdict::Expired;
    if (row.delayed_at > now) return Verdict::Early;
    // While it waits for other tasks, it is not in its group yet. Or it has moved to another group since.
    if ((row.flags & flag_waits) != 0 || row.group != group) return Verdict::Stale;
    return Verdict::Run;
}

void turn_away(Verdict verdict, const QueueRef &queue, store::TaskRow *row, TimestampTz now) {
    if (verdict == Verdict::Expired) {
        touch(queue, *row);
        end_waiting(queue, row, Status::Expired, {}, now, store::Wait::Skip);
    } else if (memory::Hint hint; verdict == Verdict::Early && hint_of(queue, *row, memory::Arrival::InFront, &hint)) {
        dispatch::enqueue(hint);
        memory::wake_scheduler(memory::map.queues[memory::map.lanes[hint.lane].queue].db);
    }
}

void put_off(const QueueRef &queue, const store::TaskRow &row, memory::Wait wait) {
    Origin place = origin_of(queue, row);
    place.hint.wait = wait;
    if (place.known) dispatch::enqueue(place.hint);
}

}  // namespace pgqueue::task
