#include "memory/shared.hpp"

#include "config/server_settings.hpp"
#include "memory/pool.hpp"

namespace pgqueue::memory {

constinit Map map{};

namespace {

constexpr const char *tranche = "pgqueue";

// The number of fixed entries of each kind in a block of this size. Entries take about a fifth, pages the rest.
struct Capacity {
    int32 namespaces, queues, lanes, priorities, sources, roles, leases, lease_hash, hash, group_hash, users,
        named_stats[named_stat_kinds], stat_hash;
    uint32 pages;

    int32 all_named_stats() const { return named_stats[0] + named_stats[1]; }
    int32 all_stats() const { return 2 * queues + all_named_stats(); }
};

Capacity capacity_for(Size memory) {
    double scale = static_cast<double>(memory) / (64.0 * 1024 * 1024);
    auto scaled = [scale](int at_64mb, int least) { return Max(least, static_cast<int>(at_64mb * scale)); };
    Capacity c;
    c.namespaces = scaled(1024, 32);
    c.queues = scaled(8192, 64);
    c.lanes = scaled(16384, 128);
    c.priorities = scaled(32768, 256);
    c.sources = scaled(8192, 64);
    c.roles = scaled(2048, 32);
    c.leases = scaled(65536, 1024);
    c.lease_hash = 1;
    while (c.lease_hash < c.leases) c.lease_hash *= 2;
    c.hash = 1;
    while (c.hash < c.queues * 2) c.hash *= 2;
    c.group_hash = group_locks;
    while (c.group_hash < scaled(65536, 1024)) c.group_hash *= 2;
    c.users = MaxBackends + NUM_AUXILIARY_PROCS;
    // Types take memory of their own, as the setting says.
    c.named_stats[named_index(StatKind::Type)] = config::max_types;
    c.named_stats[named_index(StatKind::Role)] = scaled(2048, 64);
    c.stat_hash = 1;
    while (c.stat_hash < c.all_named_stats()) c.stat_hash *= 2;
    Size fixed = sizeof(Namespace) * c.namespaces + (sizeof(Queue) + 2 * sizeof(StatEntry)) * c.queues +
                 sizeof(Lane) * c.lanes + sizeof(PriorityList) * c.priorities + sizeof(Source) * c.sources +
                 sizeof(Role) * c.roles + sizeof(Lease) * c.leases + sizeof(SlotNo) * (c.hash + c.lease_hash) +
                 sizeof(GroupNo) * c.group_hash;
    c.pages = static_cast<uint32>(Max((memory > fixed ? memory - fixed : 0) / page_bytes, Size(64)));
    return c;
}

// Walks the parts of the block in order, and returns the bytes needed. With `base` it also sets the map.
Size lay_out(const Capacity &c, char *base) {
    Size at = 0;
    auto part = [&at, base](Size bytes) {
        char *here = base ? base + at : nullptr;
        at += MAXALIGN(bytes);
        return here;
    };
    char *shared = part(sizeof(Shared));
    char *namespaces = part(sizeof(Namespace) * c.namespaces);
    char *queues = part(sizeof(Queue) * c.queues);
    char *statistics = part(sizeof(StatEntry) * c.all_stats());
    char *stat_names = part(sizeof(StatName) * c.all_named_stats());
    char *stat_hash = part(sizeof(AtomicSlot) * c.stat_hash);
    char *lanes = part(sizeof(Lane) * c.lanes);
    char *priorities = part(sizeof(PriorityList) * c.priorities);
    char *sources = part(sizeof(Source) * c.sources);
    char *roles = part(sizeof(Role) * c.roles);
    char *leases = part(sizeof(Lease) * c.leases);
    char *lease_hash = part(sizeof(SlotNo) * c.lease_hash);
    char *hash = part(sizeof(SlotNo) * c.hash);
    char *group_hash = part(sizeof(GroupNo) * c.group_hash);
    char *users = part(sizeof(Atomic<uint64>) * c.users);
    at = TYPEALIGN(page_bytes, at);
    char *pages = part(page_bytes * (Size(c.pages) + 1));
    if (base) {
        map.shared = reinterpret_cast<Shared *>(shared);
        map.namespaces = reinterpret_cast<Namespace *>(namespaces);
        map.queues = reinterpret_cast<Queue *>(queues);
        map.statistics = reinterpret_cast<StatEntry *>(statistics);
        map.stat_names = reinterpret_cast<StatName *>(stat_names);
        map.stat_hash = reinterpret_cast<AtomicSlot *>(stat_hash);
        map.stat_hash_size = c.stat_hash;
        map.lanes = reinterpret_cast<Lane *>(lanes);
        map.priorities = reinterpret_cast<PriorityList *>(priorities);
        map.sources = reinterpret_cast<Source *>(sources);
        map.roles = reinterpret_cast<Role *>(roles);
        map.queue_hash = reinterpret_cast<SlotNo *>(hash);
        map.hash_size = c.hash;
        map.leases = reinterpret_cast<Lease *>(leases);
        map.lease_hash = reinterpret_cast<SlotNo *>(lease_hash);
        map.lease_hash_size = c.lease_hash;
        map.group_hash = reinterpret_cast<GroupNo *>(group_hash);
        map.group_hash_size = c.group_hash;
        map.users = reinterpret_cast<Atomic<uint64> *>(users);
        map.n_users = c.users;
        map.pages = pages;
    }
    return at;
}

void init_block(const Capacity &c) {
    Shared *s = map.shared;
    MemSet(s, 0, sizeof(Shared));
    while (s->boot_epoch == 0)
        if (!pg_strong_random(&s->boot_epoch, sizeof(s->boot_epoch)))
            ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not get random bytes"));
    s->pages = c.pages;
    s->n_namespaces = c.namespaces;
    s->n_queues = c.queues;
    s->n_lanes = c.lanes;
    s->n_priorities = c.priorities;
    s->n_sources = c.sources;
    s->n_roles = c.roles;
    s->n_leases = c.leases;
    MemSet(map.leases, 0, sizeof(Lease) * c.leases);
    for (int i = 0; i < map.lease_hash_size; i++) map.lease_hash[i] = -1;
    MemSet(map.namespaces, 0, sizeof(Namespace) * c.namespaces);
    MemSet(map.queues, 0, sizeof(Queue) * c.queues);
    for (int k = 0; k < named_stat_kinds; k++) s->n_named_stats[k] = c.named_stats[k];
    MemSet(map.statistics, 0, sizeof(StatEntry) * c.all_stats());
    MemSet(map.stat_names, 0, sizeof(StatName) * c.all_named_stats());
    MemSet(map.stat_hash, 0, sizeof(AtomicSlot) * c.stat_hash);
    MemSet(map.lanes, 0, sizeof(Lane) * c.lanes);
    MemSet(map.priorities, 0, sizeof(PriorityList) * c.priorities);
    MemSet(map.sources, 0, sizeof(Source) * c.sources);
    MemSet(map.roles, 0, sizeof(Role) * c.roles);
    for (int i = 0; i < map.hash_size; i++) map.queue_hash[i] = -1;
    MemSet(map.group_hash, 0, sizeof(GroupNo) * map.group_hash_size);
    for (WorkerSlot &w : s->workers) w.db = w.role = -1;
    s->sessions.init(0);
    s->drops.init(1);
    for (int i = 0; i < c.users; i++) map.users[i].init(0);
    for (ConditionVariable &loaded : s->loaded) ConditionVariableInit(&loaded);
    init_pools();
}

}  // namespace

Size shared_bytes(Size dispatch_memory) { return lay_out(capacity_for(dispatch_memory), nullptr); }

void request_shared(Size dispatch_memory) {
    RequestAddinShmemSpace(shared_bytes(dispatch_memory) + page_bytes);
    RequestNamedLWLockTranche(tranche, lock_count);
}

bool attach_shared(Size dispatch_memory) {
    bool found = false;
    Capacity c = capacity_for(dispatch_memory);
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    char *base = static_cast<char *>(ShmemInitStruct("pgqueue", shared_bytes(dispatch_memory) + page_bytes, &found));
    lay_out(c, reinterpret_cast<char *>(TYPEALIGN(page_bytes, reinterpret_cast<uintptr_t>(base))));
    map.locks = GetNamedLWLockTranche(tranche);
    if (!found) init_block(c);
    LWLockRelease(AddinShmemInitLock);
    return !found;
}

}  // namespace pgqueue::memory
