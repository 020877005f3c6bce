#include "dispatch/registry.hpp"

#include "dispatch/due.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/page_list.hpp"
#include "dispatch/ready.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

[[noreturn]] void table_full(const char *what) {
    ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("no room for another %s in the dispatcher's shared memory", what),
            errhint("Raise pgqueue.dispatch_memory and restart the server."));
    pg_unreachable();
}

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

// Takes a queue's lists apart; the namespace's lock is held.
void empty_queue_locked(Queue *q) {
    for (uint32 l = pg_atomic_read_u32(&q->first_lane); l != 0; l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue)) {
        Lane &lane = map.lanes[l - 1];
        for (SlotNo p = lane.first; p >= 0;) {
            SlotNo next = map.priorities[p].next;
            clear_list(&map.priorities[p].list);
            give_priority(p);
            p = next;
        }
        lane.first = -1;
        lane.count = 0;
    }
}

// Gives slot and lanes of a queue back; registry lock held, nothing refers to it any more.
void free_queue_locked(SlotNo no) {
    Queue &q = map.queues[no];
    SlotNo *link = hash_head(q.db, q.queue_id);
    while (*link >= 0 && *link != no) link = &map.queues[*link].next_hash;
    if (*link == no) *link = q.next_hash;
    for (uint32 l = pg_atomic_read_u32(&q.first_lane); l != 0;) {
        uint32 next = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue);
        give_lane(static_cast<SlotNo>(l - 1));
        l = next;
    }
    q.used = false;
}

// The source of a role in a namespace, made when missing; registry lock held. -1: no room.
SlotNo make_source(SlotNo ns, SlotNo role) {
    Shared *s = map.shared;
    pg_atomic_uint32 *chain = role >= 0 ? &map.roles[role].first_source : &map.namespaces[ns].outside_source;
    for (uint32 i = pg_atomic_read_u32(chain); i != 0;) {
        Source &src = map.sources[i - 1];
        if (src.ns == ns) return static_cast<SlotNo>(i - 1);
        i = static_cast<uint32>(src.next_of_role + 1);
    }
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
    src.first_active = -1;
    pg_atomic_init_u64(&src.ready, 0);
    src.next_of_role = static_cast<SlotNo>(pg_atomic_read_u32(chain)) - 1;
    pg_write_barrier();
    pg_atomic_write_u32(chain, static_cast<uint32>(no + 1));
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
    lane.queue = queue;
    lane.role = role;
    lane.held = held;
    lane.source = source;
    lane.first = lane.next_active = lane.prev_active = -1;
    pg_atomic_init_u32(&lane.next_of_queue, pg_atomic_read_u32(&q.first_lane));
    pg_write_barrier();
    pg_atomic_write_u32(&q.first_lane, static_cast<uint32>(made + 1));
    return made;
}

}  // namespace

SlotNo find_database(Oid oid) {
    for (SlotNo i = 0; i < max_databases; i++)
        if (database(i).used && database(i).oid == oid) return i;
    return -1;
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
        uint32 generation = pg_atomic_read_u32(&d.generation);
        MemSet(&d, 0, sizeof(Database));
        pg_atomic_init_u32(&d.generation, generation + 1);
        pg_atomic_init_u32(&d.current_segment, UINT32_MAX);
        pg_atomic_init_u64(&d.min_dies, static_cast<uint64>(INT64_MAX));
        pg_atomic_init_u64(&d.min_lease, static_cast<uint64>(INT64_MAX));
        pg_atomic_init_u64(&d.min_lease_dies, static_cast<uint64>(INT64_MAX));
        pg_atomic_init_u64(&d.wake_at, static_cast<uint64>(INT64_MAX));
        init_due(i);
        d.oid = oid;
        pg_write_barrier();
        d.used = true;
        return i;
    }
    return -1;
}

void drop_database(SlotNo db) {
    Database &d = database(db);
    pg_atomic_write_u32(&d.state, static_cast<uint32>(DbState::Unserved));
    clear_groups(db);
    clear_ready(db);
    clear_due(db);
    clear_leases(db);
    give_chain(pg_atomic_exchange_u32(&d.delta_inbox, 0));
    pg::LwLockGuard lock(registry_lock());
    for (SlotNo q = 0; q < map.shared->used_queues; q++)
        if (map.queues[q].used && map.queues[q].db == db) free_queue_locked(q);
    for (SlotNo i = 0; i < map.shared->used_sources; i++)
        if (map.sources[i].ns >= 0 && map.namespaces[map.sources[i].ns].db == db) map.sources[i].ns = -1;
    for (SlotNo n = 0; n < map.shared->n_namespaces; n++)
        if (map.namespaces[n].used && map.namespaces[n].db == db) {
            give_chain(pg_atomic_exchange_u32(&map.namespaces[n].inbox, 0));
            map.namespaces[n].used = false;
        }
    for (SlotNo r = 0; r < map.shared->used_roles; r++)
        if (map.roles[r].used && map.roles[r].db == db) map.roles[r].used = false;
    d.used = false;
}

SlotNo ensure_namespace(SlotNo db, int32 ns_id) {
    Database &d = database(db);
    uint32 n = pg_atomic_read_u32(&d.namespaces);
    for (uint32 i = 0; i < n; i++)
        if (map.namespaces[d.ns[i]].ns_id == ns_id) return d.ns[i];
    bool full = false;
    SlotNo made = -1;
    {
        pg::LwLockGuard lock(registry_lock());
        n = pg_atomic_read_u32(&d.namespaces);
        for (uint32 i = 0; i < n; i++)
            if (map.namespaces[d.ns[i]].ns_id == ns_id) made = d.ns[i];
        for (SlotNo i = 0; made < 0 && i < map.shared->n_namespaces && n < lengthof(d.ns); i++) {
            Namespace &e = map.namespaces[i];
            if (e.used) continue;
            MemSet(&e, 0, sizeof(Namespace));
            e.db = db;
            e.ns_id = ns_id;
            e.weight = 1;
            e.used = true;
            made = i;
            d.ns[n] = i;
            pg_write_barrier();
            pg_atomic_write_u32(&d.namespaces, n + 1);
        }
        full = made < 0;
    }
    if (full) table_full("namespace");
    return made;
}

SlotNo find_queue(SlotNo db, int32 queue_id) {
    pg::LwLockGuard lock(registry_lock(), LW_SHARED);
    return find_queue_locked(db, queue_id);
}

namespace {

// Slots that this process has found last. A look at the slot tells whether it is still the queue's: each change of a task asks for it, and must not
// take a lock for that which everybody takes.
constexpr uint32 recent_queues = 16;
constinit SlotNo recent[recent_queues] = {};

bool is_queue(SlotNo no, SlotNo db, int32 queue_id) {
    const Queue &q = map.queues[no];
    if (!q.used) return false;
    pg_read_barrier();
    return q.db == db && q.queue_id == queue_id;
}

SlotNo make_queue(SlotNo db, int32 ns_id, int32 queue_id) {
    SlotNo ns = ensure_namespace(db, ns_id);
    SlotNo made = -1;
    {
        pg::LwLockGuard lock(registry_lock());
        made = find_queue_locked(db, queue_id);
        for (SlotNo q = 0; made < 0 && q < map.shared->n_queues; q++) {
            if (map.queues[q].used) continue;
            map.shared->used_queues = Max(map.shared->used_queues, q + 1);
            init_queue(&map.queues[q], db, ns, queue_id);
            SlotNo *head = hash_head(db, queue_id);
            map.queues[q].next_hash = *head;
            *head = q;
            made = q;
        }
    }
    if (made < 0) table_full("queue");
    return made;
}

}  // namespace

SlotNo ensure_queue(SlotNo db, int32 ns_id, int32 queue_id) {
    SlotNo &no = recent[static_cast<uint32>(queue_id) % recent_queues];
    if (is_queue(no, db, queue_id)) return no;
    SlotNo found = find_queue(db, queue_id);
    return no = found >= 0 ? found : make_queue(db, ns_id, queue_id);
}

SlotNo ensure_role(SlotNo db, int32 role_id) {
    for (SlotNo r = 0; r < map.shared->used_roles; r++)
        if (map.roles[r].used && map.roles[r].db == db && map.roles[r].role_id == role_id) return r;
    SlotNo made = -1;
    {
        pg::LwLockGuard lock(registry_lock());
        for (SlotNo r = 0; r < map.shared->used_roles; r++)
            if (map.roles[r].used && map.roles[r].db == db && map.roles[r].role_id == role_id) made = r;
        for (SlotNo r = 0; made < 0 && r < map.shared->n_roles; r++) {
            Role &e = map.roles[r];
            if (e.used) continue;
            MemSet(&e, 0, sizeof(Role));
            e.db = db;
            e.role_id = role_id;
            pg_write_barrier();
            e.used = true;
            map.shared->used_roles = Max(map.shared->used_roles, r + 1);
            made = r;
        }
    }
    if (made < 0) table_full("role");
    return made;
}

SlotNo ensure_lane(SlotNo queue, SlotNo role, bool held) {
    Queue &q = map.queues[queue];
    auto find = [&q, role, held] {
        for (uint32 l = pg_atomic_read_u32(&q.first_lane); l != 0; l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue))
            if (map.lanes[l - 1].role == role && map.lanes[l - 1].held == held) return static_cast<SlotNo>(l - 1);
        return SlotNo(-1);
    };
    SlotNo made = find();
    if (made >= 0) return made;
    {
        pg::LwLockGuard lock(registry_lock());
        made = find();
        if (made < 0) made = make_lane(queue, role, held);
    }
    if (made < 0) table_full("role in a queue");
    return made;
}

void configure_namespace(SlotNo db, const NamespaceConfig &config) {
    Database &d = database(db);
    for (uint32 i = 0; i < pg_atomic_read_u32(&d.namespaces); i++) {
        SlotNo ns = d.ns[i];
        if (map.namespaces[ns].ns_id != config.ns_id) continue;
        pg::LwLockGuard lock(namespace_lock(ns));
        map.namespaces[ns].weight = Max(config.weight, 1);
        map.namespaces[ns].max_running = config.max_running;
        map.namespaces[ns].paused = config.paused;
        revise_namespace_locked(ns);
    }
}

void configure_queue(SlotNo queue, const QueueConfig &config) {
    Queue &q = map.queues[queue];
    pg::LwLockGuard lock(namespace_lock(q.ns));
    q.max_running = config.max_running;
    q.paused = config.paused;
    q.paused_until = config.paused_until;
    // A new bucket is full, a changed one keeps what fits.
    if (!q.configured || q.rate <= 0) q.tokens = config.burst;
    q.rate = config.rate;
    q.burst = config.burst;
    q.aging = config.aging;
    bool groups = q.configured && (q.group_max_running != config.group_max_running || q.group_rate != config.group_rate || q.group_pass != config.group_pass);
    q.group_max_running = config.group_max_running;
    q.group_rate = config.group_rate;
    q.group_pass = config.group_pass;
    q.tokens = Min(q.tokens, static_cast<double>(q.burst));
    if (q.refilled_at == 0) q.refilled_at = GetCurrentTimestamp();
    q.throttled_until = 0;
    q.configured = true;
    revise_queue_locked(queue);
    if (groups) settle_groups_locked(queue);
}

void drop_queue(SlotNo queue) {
    Queue &q = map.queues[queue];
    pg_atomic_write_u32(&q.dropped, 1);
    pg::LwLockGuard lock(namespace_lock(q.ns));
    q.paused = true;
    revise_queue_locked(queue);
    for (auto &c : q.counts) pg_atomic_write_u64(&c, 0);
    pg_atomic_write_u32(&database(q.db).reload, 1);
}

void drop_queues(SlotNo db) {
    for (SlotNo no = 0; no < map.shared->used_queues; no++)
        if (map.queues[no].used && map.queues[no].db == db) drop_queue(no);
}

HighestIds highest_ids(SlotNo db) {
    HighestIds ids{0, 0};
    for (SlotNo no = 0; no < map.shared->used_queues; no++)
        if (map.queues[no].used && map.queues[no].db == db) ids.queue = Max(ids.queue, map.queues[no].queue_id);
    Database &d = database(db);
    for (uint32 i = 0; i < pg_atomic_read_u32(&d.namespaces); i++) ids.ns = Max(ids.ns, map.namespaces[d.ns[i]].ns_id);
    return ids;
}

void empty_dropped_queues(SlotNo db) {
    for (SlotNo no = 0; no < map.shared->used_queues; no++) {
        Queue &q = map.queues[no];
        if (!q.used || q.db != db || pg_atomic_read_u32(&q.dropped) == 0) continue;
        pg::LwLockGuard lock(namespace_lock(q.ns));
        clear_groups_of_queue_locked(no);
        empty_queue_locked(&q);
        pg_atomic_write_u64(&q.hinted, 0);
    }
}

void free_dropped_queues(SlotNo db) {
    pg::LwLockGuard lock(registry_lock());
    for (SlotNo q = 0; q < map.shared->used_queues; q++)
        if (map.queues[q].used && map.queues[q].db == db && pg_atomic_read_u32(&map.queues[q].dropped) != 0 && pg_atomic_read_u32(&map.queues[q].running) == 0)
            free_queue_locked(q);
}

}  // namespace pgqueue::dispatch
