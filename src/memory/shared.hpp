// The fixed block of shared memory, which makes dispatch fast. The rows are the truth, and all of this can be rebuilt
// from them.
//
// Locks, in the order in which they may be taken together (each is an LWLock of the tranche "pgqueue"):
// - registry: creates and drops Database, Namespace, Queue, Role and Source entries. Reading their immutable keys needs
//   no lock.
// - namespace: ready lists, lanes, sources and groups of a namespace, its limits and its copy of the configuration
//   (fixed partitions).
// - due: the due heap of a database (fixed partitions).
// - groups: chains of the hash of groups, by their key (fixed partitions).
// - lease: the leases of outside workers, by task id (fixed partitions).
// - workers: allocation of WorkerSlot, and the reason of a cancel.
// Fields of the types Atomic and AtomicSlot need no lock. "Immutable" fields are written before the entry is published,
// and never again until it is dropped.
#pragma once
#include "memory/database.hpp"
#include "memory/holders.hpp"
#include "memory/stat_names.hpp"

namespace pgqueue::memory {

constexpr int namespace_locks = 64;
constexpr int due_locks = 16;
constexpr int lease_locks = 16;
constexpr int group_locks = 16;
constexpr int max_task_waiters = 512;
constexpr int max_workers = 256;
constexpr int max_result_waiters = 512;
constexpr int awaited_cells = 65536;

// The head of the block, with the arrays of fixed size.
struct Shared {
    int64 boot_epoch;  // random, not 0
    AtomicSlot launcher_procno;
    Atomic<int64> launcher_ended;  // when the last launcher ended (monotonic), 0: none has
    Atomic<int32> total_workers;
    uint32 pages;              // in the pool
    Atomic<uint64> free_page;  // tag << 32 | PageNo
    Atomic<uint32> free_pages;
    int32 n_namespaces, n_queues, n_lanes, n_priorities, n_sources, n_roles;  // capacities
    int32 used_queues, used_roles, used_sources;  // ends of the used entries (registry lock; read without)
    Atomic<uint64> sessions;                      // numbers given to sessions
    Atomic<uint64> drops;                         // entries dropped (memory/users.hpp), begins at 1
    Atomic<uint64> free_lane;                     // tag << 32 | SlotNo + 1
    Atomic<uint64> free_priority;
    Database databases[max_databases];
    WorkerSlot workers[max_workers];
    ResultWaiter waiters[max_result_waiters];
    TaskWaiter task_waiters[max_task_waiters];
    ConditionVariable loaded[max_databases];  // broadcast when a database is Ready, and when its scheduler leaves
    Atomic<int32> awaited[awaited_cells];     // edges to tasks, by hash of database and id
    int32 n_leases;
    Atomic<uint64> free_lease;  // tag << 32 | SlotNo + 1
    Atomic<int32> free_leases, free_lanes, free_priorities;
    Atomic<bool> leases_wanted;                   // a session found no lease for its namespace since one became free
    int32 taken_queues;                           // used entries of queues [registry lock]
    Atomic<int32> times_pages;                    // pages with histograms; stats/totals
    int32 n_named_stats[named_stat_kinds];        // capacities
    Atomic<int32> named_stats[named_stat_kinds];  // used
    Atomic<int64> times_lost;  // times that no histogram has counted, because there was no memory for it
};

// Addresses of the block's parts in this process; nullptr while the library is not preloaded.
struct Map {
    Shared *shared;
    Namespace *namespaces;
    Queue *queues;
    StatEntry *statistics;  // by StatNo
    StatName *stat_names;   // of the named entries
    AtomicSlot *stat_hash;
    int32 stat_hash_size;
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
    Atomic<uint64> *users;  // by the number of the process
    int n_users;
    char *pages;
    LWLockPadded *locks;
};
extern Map map;

// Returns whether shared memory is attached.
inline bool loaded() { return map.shared != nullptr; }
// Returns the page of a number (not 0).
inline Page *page(PageNo no) { return reinterpret_cast<Page *>(map.pages + Size(no) * page_bytes); }
// The locks: of the registry, the workers, a database's due heap, a namespace, a lease by its task's id, and a part of
// the hash of groups.
inline LWLock *registry_lock() { return &map.locks[0].lock; }
inline LWLock *workers_lock() { return &map.locks[1].lock; }
inline LWLock *due_lock(SlotNo db) { return &map.locks[2 + db % due_locks].lock; }
inline LWLock *namespace_lock(SlotNo ns) { return &map.locks[2 + due_locks + ns % namespace_locks].lock; }
inline int lease_part(int64 id) { return static_cast<int>(static_cast<uint64>(id) % lease_locks); }
inline LWLock *lease_lock(int64 id) { return &map.locks[2 + due_locks + namespace_locks + lease_part(id)].lock; }
inline LWLock *group_lock(int part) { return &map.locks[2 + due_locks + namespace_locks + lease_locks + part].lock; }
constexpr int lock_count = 2 + due_locks + namespace_locks + lease_locks + group_locks;

// Returns the entry of statistics of a queue's tasks whose types have none of their own.
inline StatNo others_of(SlotNo queue) { return map.shared->n_queues + queue; }
// The first named entry of statistics.
inline StatNo first_named_stat() { return 2 * map.shared->n_queues; }
inline StatName &name_of(StatNo named) { return map.stat_names[named - first_named_stat()]; }

// Returns the entry of a database.
inline Database &database(SlotNo no) { return map.shared->databases[no]; }
// Returns the first source of a role; -1: none. next_of_role links the others.
inline SlotNo first_source_of(SlotNo role) { return map.roles[role].first_source.load(); }
// Returns whether the queue was dropped. Needs no lock.
inline bool is_dropped(const Queue &q) { return q.dropped.load(); }

// Calls f for each namespace of a database that has an entry.
template <typename F>
void each_namespace(SlotNo db, F f) {
    Database &d = database(db);
    for (int32 i = 0; i < d.namespaces.load(); i++)
        if (SlotNo ns = d.ns[i]; ns >= 0) f(ns);
}
// Calls f for each queue of a database, including dropped ones that wait to become free.
template <typename F>
void each_queue(SlotNo db, F f) {
    for (SlotNo q = 0; q < map.shared->used_queues; q++)
        if (map.queues[q].used && map.queues[q].db == db) f(q);
}

// The lanes of a queue, for a range loop: for (SlotNo lane : lanes_of(queue)). Meanwhile none of them may become free.
class lanes_of {
public:
    explicit lanes_of(const Queue &queue) : q(queue) {}
    class Iterator {
    public:
        explicit Iterator(SlotNo lane) : l(lane) {}
        SlotNo operator*() const { return l; }
        Iterator &operator++() {
            l = map.lanes[l].next_of_queue.load();
            return *this;
        }
        bool operator!=(const Iterator &other) const { return l != other.l; }

    private:
        SlotNo l;  // -1 end
    };
    Iterator begin() const { return Iterator(q.first_lane.load()); }
    Iterator end() const { return Iterator(-1); }

private:
    const Queue &q;
};

// Makes the scheduler read all rows again, unless that is due already.
inline void read_rows_again(SlotNo db) { database(db).reading.lost.replace(Lost::Nothing, Lost::Asked); }

// Returns whether the database is unserved, loading or ready.
inline DbState state_of(SlotNo db) { return database(db).service.state.load(); }

// Returns the bytes of the whole block. dispatch_memory: in bytes.
Size shared_bytes(Size dispatch_memory);
// Called from the shmem request and startup hooks: request the block, and attach or create it.
void request_shared(Size dispatch_memory);
bool attach_shared(Size dispatch_memory);  // true: the block is new

}  // namespace pgqueue::memory

// Code in these namespaces uses entries and pages without a qualifier.
namespace pgqueue::signal {
using namespace memory;
}
namespace pgqueue::dispatch {
using namespace memory;
}
namespace pgqueue::handover {
using namespace memory;
}
