// Adds the statistics that were saved before the start of the server to entries of queues, types and roles.
#include "worker/scheduler/scheduler.hpp"

#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"
#include "stats/named.hpp"
#include "stats/totals.hpp"
#include "store/roles.hpp"
#include "store/statistics.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;
using memory::StatNo;

// Queues or namespaces to which nothing was added yet.
struct Incomplete {
    explicit Incomplete(int32 most)
        : ids(static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(most)))),
          entries(static_cast<SlotNo *>(palloc(sizeof(SlotNo) * static_cast<Size>(most)))) {}
    Datum *ids;
    SlotNo *entries;
    int count = 0;

    void add(SlotNo no, int32 id) {
        ids[count] = Int32GetDatum(id);
        entries[count++] = no;
    }
    ArrayType *array() const { return construct_array(ids, count, INT4OID, sizeof(int32), true, TYPALIGN_INT); }
};

// Returns the entry of what was saved, made if it is named; -1: there is none, or no room.
StatNo entry_of(const store::StatKey &key) {
    if (key.kind == StatKind::Role) {
        const SlotNo ns = memory::find_namespace(self.db, key.object_id);
        const uint64 role = strtou64(key.name, nullptr, 10);
        return ns >= 0 && store::role_exists(static_cast<Oid>(role)) ? stats::make_named(key.kind, ns, role, "") : -1;
    }
    const SlotNo queue = memory::find_queue(self.db, key.object_id);
    if (queue < 0 || key.kind == StatKind::Queue) return queue;
    if (key.kind == StatKind::Others) return memory::others_of(queue);
    return stats::make_named(key.kind, queue, hash_of_type(key.name), key.name);
}

// Types for which there is no room any more count as others.
void add(const store::SavedStatistics &s) {
    const StatNo no = entry_of(s.key);
    if (no >= 0) {
        stats::add_saved(no, s.now);
        return;
    }
    const SlotNo queue = s.key.kind == StatKind::Type ? memory::find_queue(self.db, s.key.object_id) : -1;
    if (queue >= 0) stats::add_numbers(memory::others_of(queue), s.now);
}

// Nothing more will be added to these entries and their named ones. Under the lock under which named entries are made,
// so that each of them is complete from now on.
void complete(const Incomplete &queues, const Incomplete &namespaces) {
    pg::LwLockGuard lock(memory::registry_lock());
    for (int i = 0; i < queues.count; i++) {
        stats::expect_no_saved(queues.entries[i]);
        stats::expect_no_saved(memory::others_of(queues.entries[i]));
    }
    for (int i = 0; i < namespaces.count; i++) map.namespaces[namespaces.entries[i]].roles_complete.store(true);
    stats::each_named(StatKind::Type, [](StatNo no) {
        if (stats::is_complete(stats::queue_of(no))) stats::expect_no_saved(no);
    });
    stats::each_named(StatKind::Role, [](StatNo no) {
        if (map.namespaces[stats::namespace_of(no)].roles_complete.load()) stats::expect_no_saved(no);
    });
}

void add_saved() {
    my_db().unsaved.entries.store(false);
    pg_memory_barrier();
    memory::begin_use();
    Incomplete queues(map.shared->n_queues), namespaces(map.shared->n_namespaces);
    memory::each_queue(self.db, [&](SlotNo no) {
        if (!memory::is_dropped(map.queues[no]) && !stats::is_complete(no)) queues.add(no, map.queues[no].queue_id);
    });
    memory::each_namespace(self.db, [&](SlotNo ns) {
        if (!map.namespaces[ns].roles_complete.load()) namespaces.add(ns, map.namespaces[ns].ns_id);
    });
    if (queues.count + namespaces.count == 0) return;
    store::each_saved_of(queues.array(), namespaces.array(), [](const store::SavedStatistics &s) { add(s); });
    complete(queues, namespaces);
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
