// Adds the statistics that were saved before the start of the server to entries of queues.
#include "worker/scheduler/scheduler.hpp"

#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "stats/totals.hpp"
#include "store/statistics.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

bool is_incomplete(SlotNo no) { return !memory::is_dropped(map.queues[no]) && !stats::is_complete(no); }

void add_saved() {
    my_db().unsaved.entries.store(false);
    pg_memory_barrier();
    memory::begin_use();
    int n = 0;
    const auto most = static_cast<Size>(map.shared->n_queues);
    auto *ids = static_cast<Datum *>(palloc(sizeof(Datum) * most));
    auto *entries = static_cast<SlotNo *>(palloc(sizeof(SlotNo) * most));
    memory::each_queue(self.db, [&](SlotNo no) {
        if (!is_incomplete(no)) return;
        ids[n] = Int32GetDatum(map.queues[no].queue_id);
        entries[n++] = no;
    });
    if (n == 0) return;
    store::each_saved(construct_array(ids, n, INT4OID, sizeof(int32), true, TYPALIGN_INT),
                      [](const store::SavedStatistics &s) {
                          const SlotNo no = memory::find_queue(self.db, s.queue_id);
                          if (no >= 0) stats::add_saved(no, s.now);
                      });
    for (int i = 0; i < n; i++) stats::expect_no_saved(entries[i]);
}

}  // namespace

pg::Deadline follow_statistics(const pg::Moment &now) {
    static constinit pg::Deadline again{};
    if (!my_db().unsaved.entries.load()) return never;
    if (!again.passed(now)) return again;
    if (transact("read saved statistics", [] { add_saved(); })) return never;
    my_db().unsaved.entries.store(true);
    return again = now.in(wait_after_failure(USECS_PER_SEC));
}

}  // namespace pgqueue::worker::scheduler
