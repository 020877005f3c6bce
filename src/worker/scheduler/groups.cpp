// Reads tasks with a group key that were left out of shared memory, after a rebuild or for lack of room. They are read
// in the order of their ids, some in each turn, in one pass for all namespaces that have room. See
// docs/internals/groups.md.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/group_filing.hpp"
#include "pg/testpoint.hpp"
#include "store/by_id.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"
#include "task/transitions.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::Hint;
using memory::map;

constexpr int rows_in_turn = 1024;

struct Reading {
    int64 *after;  // by namespace, INT64_MAX: it reads none
    Hint *hints;
    int count;
    TimestampTz now;
};

// Collects the namespaces with tasks to read, and the id to begin at; INT64_MAX none.
int64 begin(Reading *reading) {
    int64 first = INT64_MAX;
    for (int i = 0; i < map.shared->n_namespaces; i++) reading->after[i] = INT64_MAX;
    memory::each_namespace(self.db, [reading, &first](SlotNo ns) {
        if (!dispatch::wants_reading(ns)) return;
        reading->after[ns] = dispatch::begin_reading(ns);
        first = Min(first, reading->after[ns]);
    });
    return first;
}

bool on_row(void *arg, const store::TaskRow &row) {
    auto *reading = static_cast<Reading *>(arg);
    if (row.group == 0 || (row.flags & flag_waits) != 0) return true;
    const task::QueueRef queue = task::queue_of(row);
    if (queue.slot < 0 || row.ref.id <= reading->after[map.queues[queue.slot].ns]) return true;
    Hint *hint = &reading->hints[reading->count];
    if (!task::hint_of(queue, row, memory::Arrival::Behind, hint)) return true;
    if (hint->due <= reading->now) hint->due = 0;
    reading->count++;
    return true;
}

// Files the tasks that were read, by namespace.
void file(const Reading &reading, int64 upto) {
    auto *mine = static_cast<Hint *>(MemoryContextAlloc(self.scratch, sizeof(Hint) * rows_in_turn));
    memory::each_namespace(self.db, [&](SlotNo ns) {
        if (reading.after[ns] == INT64_MAX) return;
        std::size_t n = 0;
        for (int i = 0; i < reading.count; i++)
            if (map.queues[map.lanes[reading.hints[i].lane].queue].ns == ns) mine[n++] = reading.hints[i];
        dispatch::end_reading(ns, upto, {mine, n});
    });
}

}  // namespace

pg::Deadline read_groups(const pg::Moment &now) {
    static constinit pg::Deadline again{};
    bool any = false;
    memory::each_namespace(self.db, [&any](SlotNo ns) { any = any || dispatch::wants_reading(ns); });
    if (!any) return never;
    if (!again.passed(now)) return again;
    int64 upto = 0;
    bool ok = transact("read tasks of groups", [&] {
        Reading reading{static_cast<int64 *>(palloc(sizeof(int64) * static_cast<Size>(map.shared->n_namespaces))),
                        static_cast<Hint *>(palloc(sizeof(Hint) * rows_in_turn)), 0, now.wall};
        int64 after = begin(&reading);
        PGQUEUE_TESTPOINT("scheduler-reads-groups");
        Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        upto = store::scan_waiting(snapshot, after, rows_in_turn, on_row, &reading);
        UnregisterSnapshot(snapshot);
        file(reading, upto);
    });
    if (!ok) again = now.in(USECS_PER_SEC);
    return ok ? now.in(0) : again;
}

}  // namespace pgqueue::worker::scheduler
