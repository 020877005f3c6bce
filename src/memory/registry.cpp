#include "memory/registry.hpp"

#include "memory/full_table.hpp"
#include "memory/page_list.hpp"
#include "memory/pool.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::memory {
namespace {

SlotNo *hash_head(SlotNo db, int32 queue_id) {
    uint32 h = hash_combine(murmurhash32(static_cast<uint32>(db)), murmurhash32(static_cast<uint32>(queue_id)));
    return &map.queue_hash[h & static_cast<uint32>(map.hash_size - 1)];
}

SlotNo find_queue_locked(SlotNo db, int32 queue_id) {
    for (SlotNo q = *hash_head(db, queue_id); q >= 0; q = map.queues[q].next_hash)
        if (map.queues[q].db == db && map.queues[q].queue_id == queue_id) return q;
    return -1;
}

void init_queue(Queue *q, SlotNo db, SlotNo ns, int32 queue_id) {
    MemSet(q, 0, sizeof(Queue));
    q->db = db;
    q->ns = ns;
    q->queue_id = queue_id;
    pg_write_barrier();
    q->used = true;
}

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
    ask_for_idle_places(q.db);
    return made;
}

}  // namespace

SlotNo find_database(Oid oid) {
    for (SlotNo i = 0; i < max_databases; i++)
        if (database(i).used && database(i).oid == oid) return i;
    return -1;
}

void init_due_lists(Database *d) {
    d->due_heap.last = 0;
    for (int b = 0; b < due_buckets; b++) {
        init_list(&d->due_heap.buckets[b]);
        d->due_heap.least[b] = INT64_MAX;
    }
    for (int k = 0; k < wait_kinds; k++) {
        init_list(&d->due_heap.put_off[k]);
        d->due_heap.put_off_until[k] = INT64_MAX;
    }
}

SlotNo ensure_database(Oid oid) {
    SlotNo found = find_database(oid);
    if (found >= 0) return found;
    pg::LwLockGuard lock(registry_lock());
    found = find_database(oid);
    if (found >= 0) return found;
    for (SlotNo i = 0; i < max_databases; i++) {
        Database &d = database(i);
        if (d.used) continue;
        uint32 generation = d.generation.load();
        MemSet(&d, 0, sizeof(Database));
        d.generation.init(generation + 1);
        d.current_segment.init(-1);
        d.ready.min_dies.init(INT64_MAX);
        d.leases.min_ends.init(INT64_MAX);
        d.leases.min_dies.init(INT64_MAX);
        d.scheduler.wake_at.init(INT64_MAX);
        init_due_lists(&d);
        d.oid = oid;
        pg_write_barrier();
        d.used = true;
        return i;
    }
    return -1;
}

SlotNo find_namespace(SlotNo db, int32 ns_id) {
    begin_use();
    SlotNo found = -1;
    each_namespace(db, [&](SlotNo ns) {
        const Namespace &e = map.namespaces[ns];
        if (e.ns_id == ns_id && !e.dropped.load()) found = ns;
    });
    return found;
}

namespace {

// A free place in the list of a database's namespaces; -1 none. Registry lock held.
int free_place(const Database &d) {
    int n = d.namespaces.load();
    for (int i = 0; i < n; i++)
        if (d.ns[i] < 0) return i;
    return n < most_namespaces ? n : -1;
}

// Registry lock held. -1: no room.
SlotNo make_namespace(SlotNo db, int32 ns_id) {
    Database &d = database(db);
    int place = free_place(d);
    SlotNo made = 0;
    while (made < map.shared->n_namespaces && map.namespaces[made].used) made++;
    if (place < 0 || made == map.shared->n_namespaces) return -1;
    note_made();
    Namespace &e = map.namespaces[made];
    MemSet(&e, 0, sizeof(Namespace));
    e.db = db;
    e.ns_id = ns_id;
    e.weight = 1;
    // While the rows are being read, the order in groups is unknown.
    e.groups_upto = state_of(db) == DbState::Loading ? 0 : INT64_MAX;
    e.groups_missed = INT64_MAX;
    init_list(&e.arrived);
    e.used = true;
    pg_write_barrier();
    d.ns[place] = made;
    pg_write_barrier();
    if (place == d.namespaces.load()) d.namespaces.store(place + 1);
    return made;
}

}  // namespace

SlotNo ensure_namespace(SlotNo db, int32 ns_id) {
    begin_use();
    SlotNo found = find_namespace(db, ns_id);
    for (int tries = 0; found < 0;) {
        {
            pg::LwLockGuard lock(registry_lock());
            found = find_namespace(db, ns_id);
            if (found < 0) found = make_namespace(db, ns_id);
        }
        if (found < 0 && !wait_for_place(&tries)) table_full("namespace", map.shared->n_namespaces);
    }
    return found;
}

SlotNo find_queue(SlotNo db, int32 queue_id) {
    begin_use();
    pg::LwLockGuard lock(registry_lock(), LW_SHARED);
    return find_queue_locked(db, queue_id);
}

namespace {

// Slots that this process has found last. Checking a slot shows whether it still is the queue's. Each change of a task
// needs its queue, and must not take a lock that all processes share.
constexpr uint32 recent_queues = 16;
constinit SlotNo recent[recent_queues] = {};

bool is_queue(SlotNo no, SlotNo db, int32 queue_id) {
    const Queue &q = map.queues[no];
    if (!q.used) return false;
    pg_read_barrier();
    return q.db == db && q.queue_id == queue_id && !is_dropped(q);
}

}  // namespace

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

void hide_queue(SlotNo no) {
    Queue &q = map.queues[no];
    pg::LwLockGuard lock(registry_lock());
    SlotNo *link = hash_head(q.db, q.queue_id);
    while (*link >= 0 && *link != no) link = &map.queues[*link].next_hash;
    if (*link == no) *link = q.next_hash;
    if (!is_dropped(q)) map.namespaces[q.ns].dropped_queues++;
    q.dropped.store(true);
}

namespace {

// Registry lock held. -1: no room.
SlotNo make_queue(SlotNo db, SlotNo ns, int32 queue_id) {
    SlotNo no = 0;
    while (no < map.shared->n_queues && map.queues[no].used) no++;
    if (no == map.shared->n_queues) return -1;
    note_made();
    map.shared->used_queues = Max(map.shared->used_queues, no + 1);
    init_queue(&map.queues[no], db, ns, queue_id);
    map.namespaces[ns].queues++;
    map.shared->taken_queues++;
    SlotNo *head = hash_head(db, queue_id);
    map.queues[no].next_hash = *head;
    *head = no;
    return no;
}

SlotNo find_or_make_queue(SlotNo db, int32 ns_id, int32 queue_id) {
    SlotNo found = find_queue(db, queue_id);
    for (int tries = 0; found < 0;) {
        SlotNo ns = ensure_namespace(db, ns_id);
        {
            pg::LwLockGuard lock(registry_lock());
            found = find_queue_locked(db, queue_id);
            if (found < 0) found = make_queue(db, ns, queue_id);
        }
        if (found < 0 && !wait_for_place(&tries)) table_full("queue", map.shared->n_queues);
    }
    return found;
}

}  // namespace

QueueShare queue_share(SlotNo no) {
    const Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(registry_lock(), LW_SHARED);
    return {ns.shares.queues, ns.queues, ns.dropped_queues, map.shared->n_queues - map.shared->taken_queues};
}

bool is_queue_known(SlotNo db, int32 queue_id) {
    return is_queue(recent[static_cast<uint32>(queue_id) % recent_queues], db, queue_id) ||
           find_queue(db, queue_id) >= 0;
}

bool is_queue_dropped(SlotNo db, int32 queue_id) {
    bool dropped = false;
    if (database(db).places.drops_pending.load() == 0 || is_queue_known(db, queue_id)) return false;
    each_queue(db, [&](SlotNo no) {
        dropped = dropped || (map.queues[no].queue_id == queue_id && is_dropped(map.queues[no]));
    });
    return dropped;
}

SlotNo ensure_queue(SlotNo db, int32 ns_id, int32 queue_id) {
    begin_use();
    SlotNo &no = recent[static_cast<uint32>(queue_id) % recent_queues];
    return is_queue(no, db, queue_id) ? no : no = find_or_make_queue(db, ns_id, queue_id);
}

namespace {

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
    ask_for_idle_places(db);
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

LaneShare lane_share(SlotNo ns) {
    // A lane with tasks has a page at least. A quarter of the pages is for other uses.
    const int64 free = free_lanes(), used = map.shared->n_lanes - free;
    return {map.namespaces[ns].lanes.load(), Max(Min(free, int64{map.shared->pages} * 3 / 4 - used), 0)};
}

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

HighestIds highest_ids(SlotNo db) {
    HighestIds ids{0, 0};
    for (SlotNo no = 0; no < map.shared->used_queues; no++)
        if (map.queues[no].used && map.queues[no].db == db) ids.queue = Max(ids.queue, map.queues[no].queue_id);
    each_namespace(db, [&ids](SlotNo ns) { ids.ns = Max(ids.ns, map.namespaces[ns].ns_id); });
    return ids;
}

}  // namespace pgqueue::memory
