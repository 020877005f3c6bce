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
#include "core/due_order.hpp"
#include "core/fair_share.hpp"
#include "core/moment.hpp"
#include "core/priority_range.hpp"
#include "core/share.hpp"
#include "core/status.hpp"
#include "memory/holders.hpp"
#include "memory/pages.hpp"

namespace pgqueue::memory {

constexpr int max_databases = 64;
constexpr int most_namespaces = 1024;  // of a database
constexpr int namespace_locks = 64;
constexpr int due_locks = 16;
constexpr int lease_locks = 16;
constexpr int group_locks = 16;
constexpr int max_task_waiters = 512;
constexpr int max_workers = 256;
constexpr int max_result_waiters = 512;
constexpr int awaited_cells = 65536;
constexpr int settle_posts = 1024;
constexpr int ticker_posts = 64;

// Ready tasks of a lane of one priority, in order; or of a range of priorities, when there are too many for a list of each (dispatch/priorities.hpp).
struct PriorityList {
    PriorityRange range;
    SlotNo next;          // of larger priorities, or free list
    bool sorted;          // of a range: its first page is in order
    int32 parts;          // it is taken apart into so many lists, which follow it; 0 it is not
    PriorityRange split;  // its range when that began
    PageList list;
};

// Counts of a queue: one for each status, and one for rows that wait for other tasks and so have no hint.
constexpr int unhinted = status_count;
constexpr int count_kinds = status_count + 1;
// A delta of this kind is of the open edges of a namespace; its slot is the namespace's.
constexpr int edges = count_kinds;

// Ready tasks of one queue and one role (role -1: for outside workers). One that is held has tasks of a role that does not exist: nobody takes
// them, and it is in no source.
struct Lane {
    SlotNo queue, role;      // immutable
    bool held;               // immutable
    uint64 drop;             // count of its drop (dispatch/idle.hpp), 0 it is in use [written under the registry lock]
    pg_atomic_uint32 next_of_queue;  // SlotNo + 1 [written under the registry lock]
    int64 due;               // entries in the due heap and the lists of what was put off [due lock]
    int64 grouped;           // tasks in groups
    SlotNo source;           // immutable
    SlotNo first;            // PriorityList, best first
    int32 lists;             // how many there are
    bool taken_apart;        // one of them is, and the scheduler has to go on
    SlotNo next_active, prev_active;  // in source, while `active`; one that was unlinked: the next of these, -1 end
    bool active;
    int64 count;             // ready entries and groups
    ReadyOrder groups;       // that are ready
};

// signal/incidents.hpp
enum class Incident { Quarantined, NoHandler };
constexpr int incident_kinds = 2;
constexpr int incident_places = 128;

struct IncidentList {
    pg_atomic_uint32 next;
    pg_atomic_uint64 ids[incident_places];  // 0 none
};

// What a look at the rows found wrong in memory and put right (signal/incidents.hpp).
enum class Repaired { Hint, Held, Lease, Place, List };
constexpr int repaired_kinds = 5;

struct Deaths {
    pg_atomic_uint32 count;
    pg_atomic_uint64 first, last;  // by the monotonic clock
};

// The lanes of one role (-1: of outside workers) in one namespace that have work and are not held back.
struct Source {
    SlotNo ns, role;         // immutable
    uint64 drop;             // count of its drop (dispatch/idle.hpp), 0 it is in use
    SlotNo next_of_role;     // -1 end [written under the registry lock]
    SlotNo first_active;
    pg_atomic_uint64 ready;  // entries in active lanes [atomic, written under the namespace's lock]
};

struct Role {
    bool used;
    SlotNo db;               // immutable
    int32 role_id;           // immutable; key in pgqueue_internal.role
    uint64 drop;             // count of its drop (dispatch/idle.hpp), 0 it is in use [written under the registry lock]
    Oid oid;                 // written by the scheduler; the role as which the workers connect
    pg_atomic_uint32 first_source;  // SlotNo + 1, published after the source is complete
    pg_atomic_uint32 workers;       // live or starting workers [atomic]
    Deaths deaths;                  // workers that ended by themselves
};

struct Queue {
    bool used;
    SlotNo db, ns;           // immutable
    int32 queue_id;          // immutable
    SlotNo next_hash;        // registry
    pg_atomic_uint32 first_lane;  // SlotNo + 1 [written under the registry lock]
    pg_atomic_uint32 dropped;     // the place waits to be free (dispatch/reclaim.hpp)
    uint64 drop;                  // count of its drop (memory/users.hpp)
    // configuration copy, namespace lock
    bool configured;
    bool paused;
    int32 max_running;       // 0 none
    TimestampTz paused_until;
    double rate;             // starts a second, 0 no limit
    int32 burst;
    int64 aging;             // microseconds of waiting that are worth one priority step, 0 none
    int32 group_max_running;
    double group_rate;       // starts of a group a second, 0 no limit
    bool group_pass;         // group_policy pass
    bool server;             // executor server
    // state, namespace lock
    TokenBucket bucket;      // of rate
    int64 throttled_until;   // no token before (monotonic), 0 not throttled; the scheduler takes it away
    ReadyOrder throttled_groups;  // that wait for a token of their own
    int64 group_token_at;    // when the first of these has one (monotonic), 0 none of them
    pg_atomic_uint32 running;   // retained by server workers
    pg_atomic_uint32 blocked;   // lanes were taken out of their sources because of a limit
    pg_atomic_uint64 counts[count_kinds];  // rows by status, int64 as two's complement; and those that wait without a hint
    pg_atomic_uint32 news;      // ready tasks for outside workers that LISTEN clients have not been told of
    pg_atomic_uint64 hinted;    // entries in ready lists and due heap
    pg_atomic_uint64 full_since;  // max_depth has refused tasks and taken none since (monotonic), 0 it has not
    // dispatch/refile.hpp
    pg_atomic_uint32 refile;    // Refile
    bool rows_decide;           // entries of the due heap may name a lane of before; written and read by the scheduler
};

struct Namespace {
    bool used;
    SlotNo db;               // immutable
    int32 ns_id;             // immutable
    pg_atomic_uint32 outside_source;  // SlotNo + 1 of the lanes for outside workers, published when complete
    pg_atomic_uint32 inbox;  // pages handed over, newest first
    int32 weight;
    int32 max_running;       // 0 none
    bool paused;
    Shares shares;           // its parts of what all namespaces share
    pg_atomic_uint32 leases; // entries of its tasks, popped ones too
    int32 queues;            // its queues, those too that were dropped and wait to be free; those alone [registry lock]
    int32 dropped_queues;
    pg_atomic_uint32 dropped;  // as of a queue
    uint64 drop;
    pg_atomic_uint32 handlers_changed;
    pg_atomic_uint32 running;
    pg_atomic_uint32 blocked;
    pg_atomic_uint64 full_since;  // as of a queue
    pg_atomic_uint64 edges;  // open edges, int64 as two's complement (handover/edges.hpp)
    pg_atomic_uint64 edges_asked;  // that open transactions are going to write
    uint64 pass;             // virtual time of fair share: grows by share_unit / weight for each task
    // namespace lock
    PageNo handed, handed_last;  // pages from the inbox that are not in lists yet, oldest first
    int32 lists;             // of priorities, in its lanes
    Slab groups, group_nodes;
    int64 groups_upto;       // waiting tasks with a group key and a greater id were left out of memory, INT64_MAX none
    int64 groups_missed;     // the least id that was left out since the scheduler began to read, INT64_MAX none
    bool groups_short;       // the reason is memory, or max_groups
    bool groups_blocked;     // there was no room when they were read last
    bool idle_groups;        // some exist only for their token buckets
};

enum class DbState : uint32 {
    Unserved,  // no scheduler has taken it: nothing is handed over, rows wait
    Loading,   // being rebuilt: hand-overs carry their deltas
    Ready,
};

// What the scheduler has seen when it last thought of cleaning. It outlives the process: one that starts for a moment
// need not look again.
struct Cleaning {
    Deadline look_again;
    Deadline next_pass;  // not before, unless the segment is full
    int64 finished, bytes;   // as of the last look
};

// What the scheduler tries again and again, for health. Written by the scheduler; `since` first, and last when it is over.
struct FailingStep {
    pg_atomic_uint64 since;  // by the monotonic clock, 0: none
    bool lock;               // it met a lock
    char what[64];
};

struct Database {
    bool used;
    Oid oid;                         // immutable
    pg_atomic_uint32 state;          // DbState
    pg_atomic_uint32 generation;     // of this entry
    pg_atomic_uint32 held;           // 1: not adopted
    pg_atomic_uint32 identity_changed;  // commits since the scheduler has asked whose data this is; nothing starts before
    pg_atomic_uint32 blocked_by;     // pid of the session whose DROP/ALTER DATABASE keeps us out, 0 none
    pg_atomic_uint32 looked;         // the launcher has had a look inside taken
    pg_atomic_uint32 starving;       // work waits and no process slot was free for a first process
    pg_atomic_uint32 left;           // its last scheduler left by itself: no failure
    pg_atomic_uint32 no_extension;   // the probe found no extension here
    pg_atomic_uint32 wanted;         // 1: the launcher should keep a scheduler
    pg_atomic_uint32 parked;         // its scheduler left because nothing was due; back at wake_at, or when called
    pg_atomic_uint32 cleaning_timer; // the scheduler will look whether cleaning is worth it; 0 after a look at a quiet database
    pg_atomic_uint32 stopped;        // stop_workers: no worker starts until ensure_workers
    pg_atomic_uint32 scheduler_pid;
    pg_atomic_uint32 scheduler_procno;  // + 1
    pg_atomic_uint32 housekeeper_pid;
    pg_atomic_uint32 sleeping;       // scheduler sleeps and wants to hear of new work
    pg_atomic_uint64 min_lease;      // lower bound of the ends of leases (monotonic), INT64_MAX none
    pg_atomic_uint64 min_lease_dies; // the same of dies_at of held tasks
    pg_atomic_uint32 charges_owed;   // leases with Owed::Charge
    pg_atomic_uint32 unwatched;      // retained rows for which no entry of a lease was free
    pg_atomic_uint32 task_waiters;
    pg_atomic_uint32 news;           // a queue's `news` was set
    pg_atomic_uint32 listened;       // somebody has used LISTEN for one of our channels since the server started
    pg_atomic_uint64 min_dies;       // lower bound of dies_at over ready tasks, INT64_MAX none
    pg_atomic_uint64 wake_at;        // monotonic time of the scheduler's (or, when it left, the launcher's) next look
    pg_atomic_uint32 delta_inbox;    // pages of deltas for the scheduler while loading
    pg_atomic_uint32 taken_apart;    // a lane's `taken_apart` was set
    pg_atomic_uint32 lost;           // 0, or why all rows are read again when lists are short: lost_full, lost_asked
    pg_atomic_uint32 reload;         // configuration changed
    pg_atomic_uint32 config_changes; // commits that changed the configuration copies, each counts before it writes them
    pg_atomic_uint32 roles_changed;  // a role was made, renamed or dropped
    pg_atomic_uint32 handlers_changed;  // handlers were
    pg_atomic_uint32 refile;         // tasks of a queue are to be filed anew (dispatch/refile.hpp)
    bool was_refiled;                // a queue of it, in this life of the server
    pg_atomic_uint32 idle_workers;
    pg_atomic_uint32 result_waiters;
    pg_atomic_uint32 current_segment;
    pg_atomic_uint32 suspect_running;  // SlotNo + 1 of the worker that runs the one suspect
    pg_atomic_uint32 any_posted;     // something is in `posted`, or settle_all is set
    pg_atomic_uint32 settle_all;     // the scheduler looks at all tasks that wait for others
    pg_atomic_uint32 awaited_known;  // edges of earlier lives of the server are in Shared::awaited
    pg_atomic_uint64 posted[settle_posts];  // ids of tasks that ended or wait, 0 free
    pg_atomic_uint32 any_ticker;     // something is in `tickers`, or all_tickers is set
    pg_atomic_uint32 all_tickers;    // the scheduler reads all tickers
    pg_atomic_uint32 tickers[ticker_posts];  // ids of tickers that were written, 0 free
    pg_atomic_uint32 tickers_on;     // the scheduler fires tickers
    pg_atomic_uint64 tickers_since;  // TimestampTz: since when
    pg_atomic_uint32 namespaces;     // end of the entries below
    SlotNo ns[most_namespaces];      // -1: none any more
    pg_atomic_uint32 drops_pending;  // entries that were dropped and wait to be free
    pg_atomic_uint32 strays;         // there may be entries whose creation was rolled back
    pg_atomic_uint32 places_wanted;  // requests for places that idle lanes, sources and roles have; 0 all are answered
    SlotNo unlinked_lanes;           // + 1; dropped lanes that may still be looked at [registry lock]
    uint64 virtual_time;             // fair share, approximate, no lock
    // due heap (radix heap on due time), due lock
    int64 due_last;
    PageList due[due_buckets];
    int64 due_min[due_buckets];
    // tasks that were put off, a list for each reason; due lock
    PageList put_off[wait_kinds];
    int64 put_off_until[wait_kinds];  // of the first (monotonic), INT64_MAX none
    // spill file: free slots, scheduler only
    PageNo free_dir, free_dir_last;
    uint32 file_slots, in_file;      // places that were ever used, and pages of lists that are there
    Cleaning cleaning;
    FailingStep failing;
    pg_atomic_uint32 changed;        // something was handed over since the last look for what was forgotten
    Deadline next_look;              // scheduler: not before (scheduler/reconcile.cpp)
    // last housekeeping, for health
    pg_atomic_uint32 cleaning_held_back;
    pg_atomic_uint32 cleaning_owed;  // a pass is due also when nothing finishes: the last one met a lock, or a queue was dropped
    pg_atomic_uint32 holder_pid;     // who held the cleaning back then, 0 unknown
    pg_atomic_uint32 holder_xmin;    // the transaction id that somebody's snapshot needs, 0: a lock is in the way
    pg_atomic_uint64 held_back_since;  // TimestampTz, to be shown only
    IncidentList incidents[incident_kinds];
    pg_atomic_uint64 repaired[repaired_kinds];
    Deaths scheduler_deaths;
    uint32 rebuilds;                 // since the server started
    int64 no_slot_since;             // a worker could not be started for lack of a process slot (monotonic), 0 none
};

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
