#include "dispatch/free_dropped.hpp"

#include "dispatch/due.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/free_idle.hpp"
#include "dispatch/group_sets.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/lease.hpp"
#include "memory/page_list.hpp"
#include "memory/registry.hpp"
#include "memory/roles.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"
#include "stats/named.hpp"
#include "stats/totals.hpp"

namespace pgqueue::dispatch {
namespace {

bool is_empty(const Queue &q) { return q.running.load() == 0 && q.hinted.load() == 0; }

// Frees the place and the lanes of a queue to which nothing refers any more.
void free_queue(SlotNo no) {
    Queue &q = map.queues[no];
    pg::LwLockGuard lock(registry_lock());
    for (SlotNo l = q.first_lane.load(); l >= 0;) {
        SlotNo next = map.lanes[l].next_of_queue.load();
        free_lane(l);
        l = next;
    }
    Namespace &ns = map.namespaces[q.ns];
    ns.queues--;
    ns.dropped_queues -= is_dropped(q);
    stats::free_times(no);
    stats::free_times(others_of(no));
    stats::free_named(StatKind::Type, no);
    q.used = false;
    Shared *s = map.shared;
    s->taken_queues--;
    while (s->used_queues > 0 && !map.queues[s->used_queues - 1].used) s->used_queues--;
}

// The dropped queues of a database whose numbers no process can have. Each search for what they have left is done once
// for all of them.
struct Dropped {
    SlotNo db;
    uint64 until;  // drops up to this one are put down
};

// Calls F(SlotNo) for each of these queues.
template <typename F>
void each_dropped(const Dropped &d, F f) {
    each_queue(d.db, [&d, f](SlotNo no) {
        if (is_put_down(map.queues[no], d.until)) f(no);
    });
}

// Removes their waiting tasks from groups, and from what was handed over and is not in lists yet.
void empty_groups(const Dropped &d) {
    auto *seen = static_cast<bool *>(palloc0(static_cast<Size>(map.shared->n_namespaces)));
    each_dropped(d, [seen](SlotNo no) { seen[map.queues[no].ns] = true; });
    each_namespace(d.db, [&d, seen](SlotNo ns) {
        if (!seen[ns]) return;
        pg::LwLockGuard lock(namespace_lock(ns));
        (void)forget_dropped_locked(ns);
        clear_groups_of_dropped_locked(ns, d.until);
    });
    pfree(seen);
}

// Removes their tasks from leases, groups, lists and pages of the due heap in memory.
void empty_queues(const Dropped &d) {
    bool any = false, held = false, hinted = false;
    each_dropped(d, [&](SlotNo no) {
        any = true;
        held = held || map.queues[no].running.load() != 0;
    });
    if (!any) return;
    if (held) clear_leases_of_dropped(d.db, d.until);
    empty_groups(d);
    each_dropped(d, [&hinted](SlotNo no) {
        Queue &q = map.queues[no];
        pg::LwLockGuard lock(namespace_lock(q.ns));
        empty_lists_locked(q);
        hinted = hinted || q.hinted.load() != 0;
    });
    if (hinted) purge_due(d.db);
}

void reclaim_queues(SlotNo db) {
    const Dropped d{db, put_down_until()};
    empty_queues(d);
    each_dropped(d, [db](SlotNo no) {
        if (!is_empty(map.queues[no])) return;
        free_queue(no);
        database(db).places.drops_pending.fetch_sub(1);
    });
}

void free_namespace(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(registry_lock());
    for (SlotNo i = 0; i < map.shared->used_sources; i++)
        if (map.sources[i].ns == no) map.sources[i].ns = -1;
    stats::free_named(StatKind::Role, no);
    Database &d = database(ns.db);
    for (SlotNo &place : std::span(d.ns, static_cast<Size>(d.namespaces.load())))
        if (place == no) place = -1;
    ns.used = false;
}

// Frees a dropped namespace if it is put down and empty. Returns whether it was freed.
bool reclaim_namespace(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    if (!is_put_down(ns.drop) || ns.queues != 0) return false;
    if (unlink_sources(no)) {
        // A late commit has created a source. A process that walks along a chain may stand on it, so a drop is counted
        // again.
        ns.drop = count_drop();
        return false;
    }
    {
        pg::LwLockGuard lock(namespace_lock(no));
        if (!forget_dropped_locked(no)) return false;
        if (ns.groups.first != 0 || ns.group_nodes.first != 0) return false;
    }
    {
        pg::LwLockGuard lock(due_lock(ns.db));
        if (ns.arrived.count != 0) return false;
        clear_list(&ns.arrived);
    }
    free_namespace(no);
    return true;
}

}  // namespace

bool free_dropped(SlotNo db) {
    Database &d = database(db);
    if (d.places.drops_pending.load() == 0) return false;
    reclaim_queues(db);
    each_namespace(db, [&d](SlotNo no) {
        if (map.namespaces[no].dropped.load() && reclaim_namespace(no)) d.places.drops_pending.fetch_sub(1);
    });
    return d.places.drops_pending.load() != 0;
}

void drop_database(SlotNo db) {
    Database &d = database(db);
    d.service.state.store(DbState::Unserved);
    clear_groups(db);
    clear_ready(db);
    clear_due(db);
    clear_leases(db);
    give_chain(d.reading.deltas.exchange(0));
    each_queue(db, [](SlotNo no) {
        if (!is_dropped(map.queues[no])) hide_queue(no);
        free_queue(no);
    });
    each_namespace(db, [](SlotNo no) {
        forget_handed_over(no);
        free_namespace(no);
    });
    pg::LwLockGuard lock(registry_lock());
    free_unlinked_lanes(db, UINT64_MAX);
    for (SlotNo r = 0; r < map.shared->used_roles; r++)
        if (map.roles[r].used && map.roles[r].db == db) map.roles[r].used = false;
    d.used = false;
}

}  // namespace pgqueue::dispatch
