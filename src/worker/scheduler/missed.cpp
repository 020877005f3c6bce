// Files tasks that large transactions did not hand over (dispatch/missed.hpp): some of a namespace in each turn, while
// there is room. A task that is filed twice does no harm. When a scheduler ends, the next one continues.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/missed.hpp"
#include "dispatch/waiters.hpp"
#include "memory/pool.hpp"
#include "pg/testpoint.hpp"
#include "store/by_id.hpp"
#include "store/rows.hpp"
#include "task/transitions.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

constexpr int rows_in_turn = 1024;

struct Reading {
    SlotNo ns;
    memory::Missed tasks;
    TimestampTz now;
};

// Other tasks with such an id were handed over, or have started, unless their row was written since.
bool is_missed(const Reading &reading, const store::TaskRow &row) {
    return row.group == 0 && (row.flags & flag_waits) == 0 && row.ref.id <= reading.tasks.to &&
           !(TransactionIdIsNormal(row.xmin) && TransactionIdPrecedes(row.xmin, reading.tasks.xid));
}

bool on_row(void *arg, const store::TaskRow &row) {
    const auto &reading = *static_cast<const Reading *>(arg);
    if (!is_missed(reading, row)) return true;
    const task::QueueRef queue = task::queue_of(row);
    memory::Hint hint;
    if (queue.slot < 0 || map.queues[queue.slot].ns != reading.ns) return true;
    if (!task::hint_of(queue, row, memory::Arrival::Behind, &hint)) return true;
    if (hint.due <= reading.now) hint.due = 0;
    dispatch::enqueue(hint);
    if (hint.due == 0 && map.lanes[hint.lane].role < 0) dispatch::wake_task_waiters(queue.slot, 1);
    return true;
}

// Returns the namespace whose turn it is; -1: none has such tasks.
SlotNo next_namespace() {
    static constinit SlotNo last = -1;
    SlotNo after = -1, first = -1;
    memory::each_namespace(self.db, [&](SlotNo ns) {
        if (dispatch::next_missed(ns).to == 0) return;
        if (first < 0 || ns < first) first = ns;
        if (ns > last && (after < 0 || ns < after)) after = ns;
    });
    last = after >= 0 ? after : first;
    return last;
}

}  // namespace

bool has_missed() {
    bool any = false;
    memory::each_namespace(self.db, [&any](SlotNo ns) { any = any || dispatch::next_missed(ns).to != 0; });
    return any;
}

pg::Deadline read_missed(const pg::Moment &now) {
    constexpr int64 patience = 20 * 1000;  // until there is room
    static constinit pg::Deadline again{};
    const SlotNo ns = next_namespace();
    if (ns < 0) return never;
    if (!again.passed(now)) return again;
    if (!memory::room_for_many()) return now.in(patience);
    bool ok = transact("read tasks of a large transaction", [&] {
        Reading reading{ns, dispatch::next_missed(ns), now.wall};
        PGQUEUE_TESTPOINT("scheduler-reads-missed");
        Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        const int64 upto = store::scan_waiting(snapshot, reading.tasks.from - 1, rows_in_turn, on_row, &reading);
        UnregisterSnapshot(snapshot);
        dispatch::read_missed_to(ns, upto);
    });
    if (!ok) again = now.in(wait_after_failure(USECS_PER_SEC));
    return ok ? now.in(0) : again;
}

}  // namespace pgqueue::worker::scheduler
