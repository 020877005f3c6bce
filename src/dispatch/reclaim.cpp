#include "dispatch/reclaim.hpp"

#include "dispatch/due.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/idle.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/priorities.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/spill.hpp"
#include "dispatch/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

// Takes a queue's lists apart; the namespace's lock is held.
void empty_lists_locked(const Queue &q) {
    for (uint32 l = pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&q.first_lane)); l != 0;
         l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue)) {
        auto no = static_cast<SlotNo>(l - 1);
        Lane &lane = map.lanes[no];
        for (SlotNo p = lane.first; p >= 0; p = map.priorities[p].next) {
            change_count_locked(no, -map.priorities[p].list.count);
            give_file_places(q.db, &map.priorities[p].list);
        }
        free_lists_locked(no);
    }
}

// Takes the waiting tasks of a queue out of lists, groups and, as far as they are in memory, the due heap.
void empty_queue(SlotNo no) {
    Queue &q = map.queues[no];
    {
        pg::LwLockGuard lock(namespace_lock(q.ns));
        drain_inbox_locked(q.ns);
        clear_groups_of_queue_locked(no);
        empty_lists_locked(q);
    }
    if (pg_atomic_read_u64(&q.hinted) != 0) purge_due(q.db);
}

bool is_empty(const Queue &q) {
    return pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&q.running)) == 0 && pg_atomic_read_u64(const_cast<pg_atomic_uint64 *>(&q.hinted)) == 0;
}

// Gives the place and the lanes of a queue back. Nothing refers to it any more.
void free_queue(SlotNo no) {
    Queue &q = map.queues[no];
    pg::LwLockGuard lock(registry_lock());
    for (uint32 l = pg_atomic_read_u32(&q.first_lane); l != 0;) {
        uint32 next = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue);
        give_lane(static_cast<SlotNo>(l - 1));
        l = next;
    }
    q.used = false;
}

// True when the place of a dropped queue is free.
bool reclaim_queue(SlotNo no) {
    Queue &q = map.queues[no];
    if (!is_put_down(q.drop)) return false;
    if (pg_atomic_read_u32(&q.running) != 0) clear_leases_of_queue(no);
    empty_queue(no);
    if (!is_empty(q)) return false;
    free_queue(no);
    return true;
}

bool has_queues(SlotNo ns) {
    bool any = false;
    each_queue(map.namespaces[ns].db, [&](SlotNo q) { any = any || map.queues[q].ns == ns; });
    return any;
}

void free_namespace(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(registry_lock());
    for (SlotNo i = 0; i < map.shared->used_sources; i++)
        if (map.sources[i].ns == no) map.sources[i].ns = -1;
    Database &d = database(ns.db);
    for (SlotNo &place : std::span(d.ns, pg_atomic_read_u32(&d.namespaces)))
        if (place == no) place = -1;
    ns.used = false;
}

// True when the place of a dropped namespace is free.
bool reclaim_namespace(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    if (!is_put_down(ns.drop) || has_queues(no)) return false;
    if (unlink_sources(no)) {
        // A late commit has made one: who walks along a chain may stand on it.
        ns.drop = count_drop();
        return false;
    }
    {
        pg::LwLockGuard lock(namespace_lock(no));
        drain_inbox_locked(no);
        if (ns.groups.first != 0 || ns.group_nodes.first != 0) return false;
    }
    free_namespace(no);
    return true;
}

}  // namespace

bool free_dropped(SlotNo db) {
    Database &d = database(db);
    if (pg_atomic_read_u32(&d.drops_pending) == 0) return false;
    each_queue(db, [&d](SlotNo no) {
        if (is_dropped(map.queues[no]) && reclaim_queue(no)) pg_atomic_fetch_sub_u32(&d.drops_pending, 1);
    });
    each_namespace(db, [&d](SlotNo no) {
        if (pg_atomic_read_u32(&map.namespaces[no].dropped) != 0 && reclaim_namespace(no)) pg_atomic_fetch_sub_u32(&d.drops_pending, 1);
    });
    return pg_atomic_read_u32(&d.drops_pending) != 0;
}

void drop_database(SlotNo db) {
    Database &d = database(db);
    pg_atomic_write_u32(&d.state, static_cast<uint32>(DbState::Unserved));
    clear_groups(db);
    clear_ready(db);
    clear_due(db);
    clear_leases(db);
    give_chain(pg_atomic_exchange_u32(&d.delta_inbox, 0));
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
