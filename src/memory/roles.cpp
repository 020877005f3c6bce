#include "memory/roles.hpp"

#include "memory/full_table.hpp"
#include "memory/pool.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::memory {
namespace {

// The source of a role in a namespace, made when missing; registry lock held. -1: no room.
SlotNo make_source(SlotNo ns, SlotNo role) {
    Shared *s = map.shared;
    AtomicSlot *chain = role >= 0 ? &map.roles[role].first_source : &map.namespaces[ns].outside_source;
    for (SlotNo i = chain->load(); i >= 0; i = map.sources[i].next_of_role)
        if (map.sources[i].ns == ns) return i;
    SlotNo no = -1;
    for (SlotNo i = 0; i < s->used_sources && no < 0; i++)
        if (map.sources[i].ns < 0) no = i;
    if (no < 0) {
        if (s->used_sources == s->n_sources) return -1;
        no = s->used_sources++;
    }
    Source &src = map.sources[no];
    src.ns = ns;
    src.role = role;
    src.drop = 0;
    src.first_active = -1;
    src.ready.init(0);
    src.next_of_role = chain->load();
    pg_write_barrier();
    chain->store(no);
    return no;
}

// Makes the lane of a role in a queue and publishes it; registry lock held. -1: no room.
// Returns whether a namespace has most of its part of the lanes.
bool has_few_lanes_left(SlotNo ns) {
    const LaneShare share = lane_share(ns);
    return share.used * 4 > share_limit(0, share.used, share.free) * 3;
}

// Registry lock held. -1: no room.
SlotNo make_lane(SlotNo queue, SlotNo role, bool held) {
    Queue &q = map.queues[queue];
    SlotNo source = make_source(q.ns, role);
    if (source < 0) return -1;
    SlotNo made = take_lane();
    if (made < 0) return -1;
    Lane &lane = map.lanes[made];
    MemSet(&lane, 0, sizeof(Lane));
    lane.ns = q.ns;
    lane.queue = queue;
    lane.role = role;
    lane.held = held;
    lane.source = source;
    map.namespaces[q.ns].lanes.fetch_add(1);
    lane.first = lane.next_active = lane.prev_active = -1;
    lane.next_of_queue.init(q.first_lane.load());
    pg_write_barrier();
    q.first_lane.store(made);
    ask_for_idle_places(q.db, has_few_lanes_left(q.ns));
    return made;
}

SlotNo search_role(SlotNo db, int32 role_id) {
    for (SlotNo r = 0; r < map.shared->used_roles; r++) {
        const Role &role = map.roles[r];
        if (role.used && role.db == db && role.role_id == role_id) return r;
    }
    return -1;
}

// Registry lock held. -1: no room.
SlotNo make_role(SlotNo db, int32 role_id) {
    SlotNo no = 0;
    while (no < map.shared->n_roles && map.roles[no].used) no++;
    if (no == map.shared->n_roles) return -1;
    Role &e = map.roles[no];
    MemSet(&e, 0, sizeof(Role));
    e.db = db;
    e.role_id = role_id;
    pg_write_barrier();
    e.used = true;
    map.shared->used_roles = Max(map.shared->used_roles, no + 1);
    ask_for_idle_places(db, false);
    return no;
}

// Finds an entry that may be suspected to be idle. Finding it clears the suspicion, under the lock under which the
// scheduler frees idle entries.
template <typename Entry, typename Search>
SlotNo find_idle_too(Entry *entries, Search search) {
    begin_use();
    SlotNo found = search();
    if (found < 0 || entries[found].drop == 0) return found;
    pg::LwLockGuard lock(registry_lock());
    found = search();
    if (found >= 0) entries[found].drop = 0;
    return found;
}

SlotNo search_lane(const Queue &q, SlotNo role, bool held) {
    for (SlotNo lane : lanes_of(q))
        if (map.lanes[lane].role == role && map.lanes[lane].held == held) return lane;
    return -1;
}

}  // namespace

SlotNo find_role(SlotNo db, int32 role_id) {
    return find_idle_too(map.roles, [=] { return search_role(db, role_id); });
}

SlotNo ensure_role(SlotNo db, int32 role_id) {
    SlotNo found = find_role(db, role_id);
    for (int tries = 0; found < 0;) {
        {
            pg::LwLockGuard lock(registry_lock());
            found = search_role(db, role_id);
            if (found >= 0)
                map.roles[found].drop = 0;
            else
                found = make_role(db, role_id);
        }
        if (found < 0 && !wait_for_place(&tries)) table_full("role", map.shared->n_roles);
    }
    return found;
}

LaneShare lane_share(SlotNo ns) { return {map.namespaces[ns].lanes.load(), free_lanes()}; }

bool has_lane(SlotNo queue, SlotNo role) {
    begin_use();
    return search_lane(map.queues[queue], role, false) >= 0;
}

void free_lane(SlotNo no) {
    map.namespaces[map.lanes[no].ns].lanes.fetch_sub(1);
    give_lane(no);
}

SlotNo ensure_lane(SlotNo queue, SlotNo role, bool held) {
    const Queue &q = map.queues[queue];
    SlotNo found = find_idle_too(map.lanes, [=, &q] { return search_lane(q, role, held); });
    for (int tries = 0; found < 0;) {
        {
            pg::LwLockGuard lock(registry_lock());
            found = search_lane(q, role, held);
            if (found >= 0)
                map.lanes[found].drop = 0;
            else
                found = make_lane(queue, role, held);
        }
        if (found >= 0 || wait_for_place(&tries)) continue;
        if (free_lanes() > 0) table_full("role in a namespace", map.shared->n_sources);
        table_full("role in a queue", map.shared->n_lanes);
    }
    return found;
}

bool unlink_sources(SlotNo ns) {
    bool any = false;
    pg::LwLockGuard lock(registry_lock());
    for (SlotNo r = 0; r < map.shared->used_roles; r++) {
        Role &role = map.roles[r];
        if (!role.used || role.db != map.namespaces[ns].db) continue;
        Source *before = nullptr;
        for (SlotNo no = first_source_of(r); no >= 0; no = map.sources[no].next_of_role) {
            Source &source = map.sources[no];
            if (source.ns != ns) {
                before = &source;
                continue;
            }
            any = true;
            if (before != nullptr)
                before->next_of_role = source.next_of_role;
            else
                role.first_source.store(source.next_of_role);
        }
    }
    return any;
}

}  // namespace pgqueue::memory
