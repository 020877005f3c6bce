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
#include "core/ready_order.hpp"
#include "core/status.hpp"
#include "core/task_ref.hpp"
#include "pg/backend.hpp"

namespace pgqueue::dispatch {

using PageNo = uint32;  // 0 none
using SlotNo = int32;   // index of a fixed array, -1 none
using GroupNo = int32;  // entry of a slab of groups, 0 none

constexpr int max_databases = 64;
constexpr int namespace_locks = 64;
constexpr int due_locks = 16;
constexpr int lease_locks = 16;
constexpr int group_locks = 16;
constexpr int max_task_waiters = 512;
constexpr int max_workers = 256;
constexpr int max_result_waiters = 512;
constexpr int awaited_cells = 65536;
constexpr int settle_posts = 256;
constexpr int max_batch = 32;  // most tasks that one worker holds at once
constexpr Size page_bytes = 4096;

// What the due heap keeps of a task that waits for its time.
struct DueEntry {
    int64 due;   // TimestampTz
    int64 dies;  // TimestampTz, 0 never
    TaskRef ref;
    SlotNo lane;  // of a task with a group key: grouped_due(queue), the scheduler reads its row
    int32 priority;
};
constexpr SlotNo grouped_due(SlotNo queue) { return -2 - queue; }
inline bool is_grouped(const DueEntry &e) { return e.lane < -1; }
inline SlotNo queue_of_grouped(const DueEntry &e) { return -2 - e.lane; }

// How a task with a group key comes to its group (docs/internals/groups.md).
enum class Comes : uint8 {
    New,     // behind the others
    Again,   // it was taken already: before the others
    Changed  // it may be there already
};

// A task that is to be filed: ready, or due at a time.
struct Hint {
    TaskRef ref;
    SlotNo lane;
    int32 priority;
    TimestampTz due;   // 0 at once
    TimestampTz dies;  // 0 never
    uint64 group;      // hash of its group key, 0 none
    Comes comes;
};

struct Delta {
    SlotNo queue;
    int8 from;  // Status, -1 none (a new row)
    int8 to;    // Status, -1 none (a removed row)
    int32 count;
};

enum class PageKind : uint8 { Ready, Due, Grouped, Deltas, Slab };

constexpr Size page_header = 48;

// One page of the pool: part of a list, part of a slab (dispatch/slab.hpp), or what a committing transaction hands over.
struct Page {
    PageNo next;
    PageNo prev;   // of a slab
    uint16 head;   // first entry still there
    uint16 count;  // end of the entries
    PageKind kind;
    TransactionId xid;  // of a hand-over of deltas
    SlotNo lane;        // of a hand-over of tasks
    int32 priority;
    int64 min_dies;     // earliest dies_at of the entries, INT64_MAX none
    TimestampTz since;  // when its first entry became ready (for aging)
    union {
        TaskRef ready[(page_bytes - page_header) / sizeof(TaskRef)];
        DueEntry due[(page_bytes - page_header) / sizeof(DueEntry)];
        Hint hints[(page_bytes - page_header) / sizeof(Hint)];
        char slab[page_bytes - page_header];
        Delta deltas[(page_bytes - page_header) / sizeof(Delta)];
        uint32 slots[(page_bytes - page_header) / sizeof(uint32)];  // places in the spill file, in order
    };
};
static_assert(sizeof(Page) <= page_bytes);
constexpr int ready_per_page = sizeof(Page::ready) / sizeof(TaskRef);
constexpr int due_per_page = sizeof(Page::due) / sizeof(DueEntry);
constexpr int hints_per_page = sizeof(Page::hints) / sizeof(Hint);
constexpr int deltas_per_page = sizeof(Page::deltas) / sizeof(Delta);
constexpr int slots_per_page = sizeof(Page::slots) / sizeof(uint32);

// A FIFO of entries as a chain of pages. While `spilled` > 0 the order is: front pages, file pages (listed in dir), back pages.
struct PageList {
    PageNo front, front_last;
    PageNo back, back_last;
    PageNo dir, dir_last;  // pages of file slots
    uint32 spilled;        // pages in the file
    bool moving;           // the scheduler is writing or reading pages of it outside the lock
    int64 count;           // entries, those in the file too
    int64 min_dies;        // lower bound over all entries, INT64_MAX none
};

// Entries of one size in pages of their own, those with a free place first.
struct Slab {
    PageNo first, last;
};

// A task that waits in its group.
struct GroupNode {
    TaskRef ref;          // id 0: free
    TimestampTz since;    // may start from then on
    TimestampTz dies;     // 0 never
    SlotNo lane;
    int32 priority;
    int32 next;           // behind it, 0 none; or next free one
    bool again;           // it was taken before
    bool checked;         // `since` was read from the row when it came to the head

    bool used() const { return ref.id != 0; }
};

// The tasks of one key in a queue. Namespace's lock.
struct Group {
    uint64 key;           // 0: free
    SlotNo queue;
    GroupNo next;         // in the hash chain, or next free one
    int32 first, last;    // nodes, 0 none
    int32 running;        // retained
    SlotNo ready_in;      // the lane that has it among its ready groups, -1 none
    OrderLinks links;     // there
    int64 rank;           // there: place by priority, with aging by virtual time
    int64 head_id;        // there: task at the head
    TimestampTz timer;    // the due heap has an entry for the head at this time, 0 none
    double tokens;        // of group_rate_limit
    TimestampTz refilled_at;

    bool used() const { return key != 0; }
};

// Tasks of one priority in a lane.
struct PriorityList {
    int32 priority;
    SlotNo next;  // larger priority number, or free list
    PageList list;
};

// Ready tasks of one queue and one role (role -1: for outside workers). Lives as long as its queue.
struct Lane {
    SlotNo queue, role;      // immutable
    pg_atomic_uint32 next_of_queue;  // SlotNo + 1, immutable once published
    SlotNo source;           // immutable
    SlotNo first;            // PriorityList, best first
    SlotNo next_active, prev_active;  // in source, while `active`
    bool active;
    int64 count;             // ready entries and groups
    ReadyOrder groups;       // that are ready
};

// dispatch/incidents.hpp
enum class Incident { Quarantined, NoHandler };
constexpr int incident_kinds = 2;
constexpr int incident_places = 128;

struct IncidentList {
    pg_atomic_uint32 next;
    pg_atomic_uint64 ids[incident_places];  // 0 none
};

struct Deaths {
    pg_atomic_uint32 count;
    pg_atomic_uint64 first, last;  // TimestampTz
};

// The lanes of one role (-1: of outside workers) in one namespace that have work and are not held back.
struct Source {
    SlotNo ns, role;         // immutable
    SlotNo next_of_role;     // immutable, -1 end
    SlotNo first_active;
    pg_atomic_uint64 ready;  // entries in active lanes [atomic, written under the namespace's lock]
};

struct Role {
    bool used;
    SlotNo db;               // immutable
    int32 role_id;           // immutable; key in pgqueue_internal.role
    Oid oid;                 // written by the scheduler; the role as which the workers connect
    bool missing;            // no such role: the scheduler fails its tasks
    bool recorded;           // scheduler: it is in the dictionary
    pg_atomic_uint32 first_source;  // SlotNo + 1, published after the source is complete
    pg_atomic_uint32 workers;       // live or starting workers [atomic]
    Deaths deaths;                  // workers that ended by themselves
};

struct Queue {
    bool used;
    SlotNo db, ns;           // immutable
    int32 queue_id;          // immutable
    SlotNo next_hash;        // registry
    pg_atomic_uint32 first_lane;  // SlotNo + 1, lanes are only added (registry lock)
    pg_atomic_uint32 dropped;     // the slot is reused after the next rebuild
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
    // state, namespace lock
    double tokens;
    TimestampTz refilled_at;
    TimestampTz throttled_until;  // no token before, 0 not throttled; the scheduler takes it away
    pg_atomic_uint32 running;   // retained by server workers
    pg_atomic_uint32 blocked;   // lanes were taken out of their sources because of a limit
    pg_atomic_uint64 counts[status_count];  // rows by status, int64 as two's complement
    pg_atomic_uint32 news;      // ready tasks for outside workers that LISTEN clients have not been told of
    pg_atomic_uint64 hinted;    // entries in ready lists and due heap
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
    pg_atomic_uint32 running;
    pg_atomic_uint32 blocked;
    uint64 pass;             // virtual time of fair share: grows by share_unit / weight for each task
    // namespace lock
    Slab groups, group_nodes;
    PageNo deferred, deferred_last;  // hints of tasks with a group key that came while the database was loading
    bool idle_groups;        // some exist only for their token buckets
};

enum class DbState : uint32 {
    Unserved,  // no scheduler has taken it: nothing is handed over, rows wait
    Loading,   // being rebuilt: hand-overs carry their deltas
    Ready,
};

struct Database {
    bool used;
    Oid oid;                         // immutable
    pg_atomic_uint32 state;          // DbState
    pg_atomic_uint32 generation;     // of this entry
    pg_atomic_uint32 held;           // 1: not adopted
    pg_atomic_uint32 identity_changed;  // nothing starts until the scheduler has asked whose data this is
    pg_atomic_uint32 blocked_by;     // pid of the session whose DROP/ALTER DATABASE keeps us out, 0 none
    pg_atomic_uint32 looked;         // the launcher has had a look inside taken
    pg_atomic_uint32 starving;       // work waits and no process slot was free for a first process
    pg_atomic_uint32 left;           // its last scheduler left by itself: no failure
    pg_atomic_uint32 no_extension;   // the probe found no extension here
    pg_atomic_uint32 wanted;         // 1: the launcher should keep a scheduler
    pg_atomic_uint32 parked;         // its scheduler left because nothing was due; back at wake_at, or when called
    pg_atomic_uint32 cleaning_timer; // the scheduler will look whether cleaning is worth it
    pg_atomic_uint32 stopped;        // stop_workers: no worker starts until ensure_workers
    pg_atomic_uint32 scheduler_pid;
    pg_atomic_uint32 scheduler_procno;  // + 1
    pg_atomic_uint32 housekeeper_pid;
    pg_atomic_uint32 sleeping;       // scheduler sleeps and wants to hear of new work
    pg_atomic_uint64 min_lease;      // lower bound of the ends of leases (monotonic), INT64_MAX none
    pg_atomic_uint64 min_lease_dies; // the same of dies_at of held tasks
    pg_atomic_uint32 task_waiters;
    pg_atomic_uint32 news;           // a queue's `news` was set
    pg_atomic_uint32 listened;       // somebody has used LISTEN for one of our channels since the server started
    pg_atomic_uint64 min_dies;       // lower bound of dies_at over ready tasks, INT64_MAX none
    pg_atomic_uint64 wake_at;        // monotonic time of the scheduler's (or, when it left, the launcher's) next look
    pg_atomic_uint32 delta_inbox;    // pages of deltas for the scheduler while loading
    pg_atomic_uint32 lost;           // a hand-over found no memory: rebuild when lists are short
    pg_atomic_uint32 groups_torn;    // a group found no memory: no group takes tasks until the rebuild
    pg_atomic_uint32 reload;         // configuration changed
    pg_atomic_uint32 config_changes; // commits that changed the configuration copies, each counts before it writes them
    pg_atomic_uint32 roles_changed;  // a role was renamed or dropped
    pg_atomic_uint32 idle_workers;
    pg_atomic_uint32 result_waiters;
    pg_atomic_uint32 current_segment;
    pg_atomic_uint32 suspect_running;  // SlotNo + 1 of the worker that runs the one suspect
    pg_atomic_uint32 any_posted;     // something is in `posted`, or settle_all is set
    pg_atomic_uint32 settle_all;     // the scheduler looks at all tasks that wait for others
    pg_atomic_uint32 awaited_known;  // edges of earlier lives of the server are in Shared::awaited
    pg_atomic_uint64 posted[settle_posts];  // ids of tasks that ended or wait, 0 free
    pg_atomic_uint32 namespaces;     // number of entries below
    SlotNo ns[1024];
    uint64 virtual_time;             // fair share, approximate, no lock
    // due heap (radix heap on due time), due lock
    int64 due_last;
    PageList due[due_buckets];
    int64 due_min[due_buckets];
    // spill file: free slots, scheduler only
    PageNo free_dir, free_dir_last;
    uint32 file_slots;
    // last housekeeping, for health
    pg_atomic_uint32 clean_asked;    // somebody wants a pass now
    pg_atomic_uint32 cleaning_held_back;
    pg_atomic_uint32 holder_pid;     // who held the cleaning back then, 0 unknown
    pg_atomic_uint32 holder_xmin;    // the transaction id that somebody's snapshot needs, 0: a lock is in the way
    pg_atomic_uint64 held_back_since;  // TimestampTz
    IncidentList incidents[incident_kinds];
    Deaths scheduler_deaths;
    uint32 rebuilds;                 // since the server started
    TimestampTz no_slot_since;       // a worker could not be started for lack of a process slot, 0 none
};

enum class WorkerState : uint32 { Free, Starting, Idle, Busy, Ended };
// Why a worker ended: by itself (its task broke it, or it left), with the server, or because somebody told it to.
enum class EndedBy : uint32 { Itself, Shutdown, Order, Timeout };
enum class HoldState : uint32 { None, Popped, Claimed, Running, Taken };

// A task that a worker has popped; the owner writes it, the scheduler reads it after the worker ended or takes it back.
struct Hold {
    TaskRef ref;
    SlotNo queue;
    GroupNo group;
    int32 priority;
    int32 attempt;
    int64 receipt;
    pg_atomic_uint32 state;  // HoldState
};

constexpr int progress_note_bytes = 128;
constexpr int cancel_reason_bytes = 256;

struct WorkerSlot {
    pg_atomic_uint32 state;     // WorkerState
    SlotNo db, role;            // workers lock while Free → Starting, then immutable until Free
    uint32 generation;          // grows with each use
    pid_t pid;
    int procno;
    pg_atomic_uint32 leave;     // asked to end after its task
    pg_atomic_uint32 ended_by;  // EndedBy, written at its end
    pg_atomic_uint32 giving_back;  // scheduler asked: give back what is not running
    pg_atomic_uint64 cancel_id; // task to cancel, 0 none; honoured only while that very attempt runs
    pg_atomic_uint32 cancel_attempt;
    char cancel_reason[cancel_reason_bytes];  // '' none; workers lock
    pg_atomic_uint64 since;     // TimestampTz of the last change of state
    pg_atomic_uint64 joined;    // TimestampTz when the process began
    pg_atomic_uint64 started;   // TimestampTz of the running task
    // dispatch/progress.hpp
    pg_atomic_uint64 progress;  // as the running task told, 0: not
    pg_atomic_uint32 progress_turn;
    char progress_note[progress_note_bytes];
    pg_atomic_uint32 n_holds;
    Hold holds[max_batch];
};

// How long a lease holds: since and until when by the monotonic clock, and what the row says of it.
struct LeaseTime {
    int64 given;        // when it was given or extended
    int64 ends;         // 0: with its session only
    TimestampTz until;  // as in the row
};

// A task that an outside worker holds. Lease lock of its id.
struct Lease {
    int64 id;              // 0 free
    int64 receipt;
    TaskRef ref;
    SlotNo db, queue;
    GroupNo group;
    int32 priority;
    int32 attempt;
    LeaseTime time;
    TimestampTz dies;      // dies_at of the task, 0 never: no lease reaches beyond it
    pid_t session;         // process that retained it, 0: before the server started
    int procno;            // of that process
    Oid role;              // that retained it, InvalidOid: not known since the server started
    bool bound;            // ends with that process
    bool ended;            // its session is gone
    SlotNo next;           // in the hash chain, or free list
};

// Somebody who sleeps until a queue has a ready task. Written by its owner before `state` says Waiting.
enum class WaitState : uint32 { Free, Filling, Waiting, Woken };
constexpr int waited_queues = 32;

struct TaskWaiter {
    pg_atomic_uint32 state;  // WaitState
    SlotNo db, ns;
    int32 n_queues;          // 0: any queue of the namespace
    SlotNo queues[waited_queues];
    int procno;
    // for the view of workers
    pid_t pid;
    Oid role;
    TimestampTz since;
};

struct ResultWaiter {
    pg_atomic_uint64 task_id;  // 0 free
    SlotNo db;
    int procno;
};

struct Shared {
    int64 boot_epoch;               // random, not 0
    pg_atomic_uint32 launcher_procno;  // + 1
    pg_atomic_uint32 total_workers;
    uint32 pages;                   // in the pool
    pg_atomic_uint64 free_page;     // tag << 32 | PageNo
    pg_atomic_uint32 free_pages;
    int32 n_namespaces, n_queues, n_lanes, n_priorities, n_sources, n_roles;  // capacities
    int32 used_queues, used_roles, used_sources;  // ends of what was ever used (registry lock; read without)
    pg_atomic_uint64 free_lane;     // tag << 32 | SlotNo + 1
    pg_atomic_uint64 free_priority;
    Database databases[max_databases];
    WorkerSlot workers[max_workers];
    ResultWaiter waiters[max_result_waiters];
    TaskWaiter task_waiters[max_task_waiters];
    pg_atomic_uint32 awaited[awaited_cells];  // edges to tasks, by hash of database and id
    int32 n_leases;
    pg_atomic_uint64 free_lease;    // tag << 32 | SlotNo + 1
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
inline DbState state_of(SlotNo db) { return static_cast<DbState>(pg_atomic_read_u32(&database(db).state)); }

// Bytes of the whole block for the setting dispatch_memory (bytes).
Size shared_bytes(Size dispatch_memory);
// Called from the shmem request and startup hooks.
void request_shared(Size dispatch_memory);
bool attach_shared(Size dispatch_memory);  // true: the block is new

}  // namespace pgqueue::dispatch
