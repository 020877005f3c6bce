// The fixed block of shared memory: everything that makes dispatch fast. The rows are the truth; all of this is rebuilt from them.
//
// Locks, in the order in which they may be taken together (each is an LWLock of the tranche "pgqueue"):
//   registry  creates and drops Database, Namespace, Queue, Role and Source entries; readers of their immutable keys need no lock
//   namespace ready lists, lanes and sources of a namespace, its limits and configuration copy (fixed partitions)
//   due       the due heap of a database (fixed partitions)
//   groups    chains of the hash of groups, by their key (fixed partitions); the groups themselves are under their namespace's lock
//   lease     the leases of outside workers, by task id (fixed partitions)
//   workers   WorkerSlot allocation, the reason of a cancel
// Fields marked [atomic] need no lock. "Immutable" fields are written before the entry is published and never again until it is dropped.
#pragma once
#include "memory/database.hpp"
#include "memory/holders.hpp"

namespace pgqueue::memory {

constexpr int namespace_locks = 64;
constexpr int due_locks = 16;
constexpr int lease_locks = 16;
constexpr int group_locks = 16;
constexpr int max_task_waiters = 512;
constexpr int max_workers = 256;
constexpr int max_result_waiters = 512;
constexpr int awaited_cells = 65536;

struct Shared {
    int64 boot_epoch;               // random, not 0
    pg_atomic_uint32 launcher_procno;  // + 1
    pg_atomic_uint64 launcher_ended;   // when the last one did (monotonic), 0: none has
    pg_atomic_uint32 total_workers;
    uint32 pages;                   // in the pool
    pg_atomic_uint64 free_page;     // tag << 32 | PageNo
    pg_atomic_uint32 free_pages;
    int32 n_namespaces, n_queues, n_lanes, n_priorities, n_sources, n_roles;  // capacities
    int32 used_queues, used_roles, used_sources;  // ends of what was ever used (registry lock; read without)
    pg_atomic_uint64 sessions;      // numbers given to sessions
    pg_atomic_uint64 drops;         // entries dropped (memory/users.hpp), begins at 1
    pg_atomic_uint64 free_lane;     // tag << 32 | SlotNo + 1
    pg_atomic_uint64 free_priority;
    Database databases[max_databases];
    WorkerSlot workers[max_workers];
    ResultWaiter waiters[max_result_waiters];
    TaskWaiter task_waiters[max_task_waiters];
    ConditionVariable loaded[max_databases];  // broadcast when a database is Ready, and when its scheduler leaves
    pg_atomic_uint32 awaited[awaited_cells];  // edges to tasks, by hash of database and id
    int32 n_leases;
    pg_atomic_uint64 free_lease;    // tag << 32 | SlotNo + 1
    pg_atomic_uint32 free_leases, free_lanes, free_priorities;
    pg_atomic_uint32 leases_wanted; // somebody found no lease for its namespace since one became free
    int32 taken_queues;             // places of queues [registry lock]
};

// Process-local addresses into the block; null while the library is not preloaded.
struct Map {
    Shared *shared;
    Namespace *namespaces;
    Queue *queues;
    Lane *lanes;
    PriorityList *priorities;
    Source *sources;
    Role *roles;
    Lease *leases;
    SlotNo *lease_hash;
    int32 lease_hash_size;
    SlotNo *queue_hash;
    int32 hash_size;
    GroupNo *group_hash;
    int32 group_hash_size;
    pg_atomic_uint64 *users;  // by the number of the process
    int n_users;
    char *pages;
    LWLockPadded *locks;
};
extern Map map;

inline bool loaded() { return map.shared != nullptr; }
inline Page *page(PageNo no) { return reinterpret_cast<Page *>(map.pages + Size(no) * page_bytes); }
inline LWLock *registry_lock() { return &map.locks[0].lock; }
inline LWLock *workers_lock() { return &map.locks[1].lock; }
inline LWLock *due_lock(SlotNo db) { return &map.locks[2 + db % due_locks].lock; }
inline LWLock *namespace_lock(SlotNo ns) { return &map.locks[2 + due_locks + ns % namespace_locks].lock; }
inline int lease_part(int64 id) { return static_cast<int>(static_cast<uint64>(id) % lease_locks); }
inline LWLock *lease_lock(int64 id) { return &map.locks[2 + due_locks + namespace_locks + lease_part(id)].lock; }
inline LWLock *group_lock(int part) { return &map.locks[2 + due_locks + namespace_locks + lease_locks + part].lock; }
constexpr int lock_count = 2 + due_locks + namespace_locks + lease_locks + group_locks;

inline Database &database(SlotNo no) { return map.shared->databases[no]; }
// The sources of a role are linked by next_of_role; -1 ends them.
inline SlotNo first_source_of(SlotNo role) { return static_cast<SlotNo>(pg_atomic_read_u32(&map.roles[role].first_source)) - 1; }
inline bool is_dropped(const Queue &q) { return pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&q.dropped)) != 0; }

// The namespaces of a database. F: void(SlotNo).
template <typename F>
void each_namespace(SlotNo db, F f) {
    Database &d = database(db);
    for (uint32 i = 0; i < pg_atomic_read_u32(&d.namespaces); i++)
        if (SlotNo ns = d.ns[i]; ns >= 0) f(ns);
}
// Its queues, those too that were dropped and wait to be free.
template <typename F>
void each_queue(SlotNo db, F f) {
    for (SlotNo q = 0; q < map.shared->used_queues; q++)
        if (map.queues[q].used && map.queues[q].db == db) f(q);
}

// The lanes of a queue: for (SlotNo lane : lanes_of(queue)). None of them may be given back meanwhile.
class lanes_of {
public:
    explicit lanes_of(const Queue &queue) : q(queue) {}
    class Place {
    public:
        explicit Place(uint32 lane) : l(lane) {}
        SlotNo operator*() const { return static_cast<SlotNo>(l - 1); }
        Place &operator++() {
            l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue);
            return *this;
        }
        bool operator!=(const Place &other) const { return l != other.l; }

    private:
        uint32 l;  // SlotNo + 1, 0 end
    };
    Place begin() const { return Place(pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&q.first_lane))); }
    Place end() const { return Place(0); }

private:
    const Queue &q;
};

constexpr uint32 lost_full = 1;   // a hand-over found no memory
constexpr uint32 lost_asked = 2;  // a change of the configuration wants it
inline void read_rows_again(SlotNo db) {
    uint32 nothing = 0;
    pg_atomic_compare_exchange_u32(&database(db).lost, &nothing, lost_asked);
}

inline DbState state_of(SlotNo db) { return static_cast<DbState>(pg_atomic_read_u32(&database(db).state)); }

// Bytes of the whole block for the setting dispatch_memory (bytes).
Size shared_bytes(Size dispatch_memory);
// Called from the shmem request and startup hooks.
void request_shared(Size dispatch_memory);
bool attach_shared(Size dispatch_memory);  // true: the block is new

}  // namespace pgqueue::memory

// The rooms above speak of entries and pages by their names alone.
namespace pgqueue::signal {
using namespace memory;
}
namespace pgqueue::dispatch {
using namespace memory;
}
namespace pgqueue::handover {
using namespace memory;
}
