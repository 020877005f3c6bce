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

}  // namespace

void init_statistics(StatNo no) {
    StatEntry *s = &map.statistics[no];
    MemSet(s, 0, sizeof(StatEntry));
    s->since.init(GetCurrentTimestamp());
}

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
    d.unsaved.entries.store(true);
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
    init_statistics(no);
    init_statistics(others_of(no));
    init_queue(&map.queues[no], db, ns, queue_id);
    database(db).unsaved.entries.store(true);
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

HighestIds highest_ids(SlotNo db) {
    HighestIds ids{0, 0};
    for (SlotNo no = 0; no < map.shared->used_queues; no++)
        if (map.queues[no].used && map.queues[no].db == db) ids.queue = Max(ids.queue, map.queues[no].queue_id);
    each_namespace(db, [&ids](SlotNo ns) { ids.ns = Max(ids.ns, map.namespaces[ns].ns_id); });
    return ids;
}

}  // namespace pgqueue::memory
