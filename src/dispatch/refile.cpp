#include "dispatch/refile.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/group_filing.hpp"
#include "dispatch/group_sets.hpp"
#include "dispatch/lanes.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

void empty_queue(SlotNo no) {
    Queue &q = map.queues[no];
    // The rest of a flood comes to the old lanes: as strays, or to a worker, which hints it to the right lane.
    (void)drain_some(q.ns);
    leave_out_all(q.ns);
    pg::LwLockGuard lock(namespace_lock(q.ns));
    empty_lists_locked(q);
    q.rows_decide = database(q.db).reading.was_refiled = true;
}

bool has_strays(const Queue &q) {
    if (!q.server) return false;
    for (SlotNo no : lanes_of(q))
        if (map.lanes[no].role < 0 && map.lanes[no].count > 0) return true;
    return false;
}

}  // namespace

void want_refile(SlotNo queue) {
    SlotNo db = map.queues[queue].db;
    map.queues[queue].refile.store(Refile::Wanted);
    pg_write_barrier();
    database(db).reading.refile.store(true);
    wake_scheduler(db);
}

void refile_held(SlotNo db, bool all) {
    auto *wanted = static_cast<bool *>(palloc0(sizeof(bool) * static_cast<Size>(map.shared->n_namespaces)));
    each_namespace(
        db, [wanted, all](SlotNo ns) { wanted[ns] = map.namespaces[ns].handlers_changed.exchange(false) || all; });
    each_queue(db, [wanted](SlotNo q) {
        bool held = false;
        for (SlotNo no : lanes_of(map.queues[q])) held = held || (map.lanes[no].held && map.lanes[no].count > 0);
        if (held && wanted[map.queues[q].ns]) want_refile(q);
    });
    pfree(wanted);
}

bool has_strays(SlotNo db) {
    bool any = false;
    if (!database(db).reading.was_refiled) return false;
    each_queue(db, [&any](SlotNo q) { any = any || has_strays(map.queues[q]); });
    return any;
}

bool begin_refile(SlotNo db) {
    bool any = false;
    auto *reading = static_cast<bool *>(palloc0(sizeof(bool) * static_cast<Size>(map.shared->n_namespaces)));
    each_namespace(db, [reading](SlotNo ns) { reading[ns] = wants_reading(ns); });
    database(db).reading.refile.store(false);
    pg_memory_barrier();
    each_queue(db, [&any, reading, db](SlotNo q) {
        if (!is_refiled(map.queues[q]) && !has_strays(map.queues[q])) return;
        if (reading[map.queues[q].ns]) {
            database(db).reading.refile.store(true);
            return;
        }
        map.queues[q].refile.store(Refile::Begun);
        pg_memory_barrier();
        empty_queue(q);
        any = true;
    });
    pfree(reading);
    return any;
}

void end_refile(SlotNo db) {
    each_queue(db, [](SlotNo q) { map.queues[q].refile.replace(Refile::Begun, Refile::No); });
}

}  // namespace pgqueue::dispatch
