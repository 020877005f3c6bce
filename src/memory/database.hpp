// The entry of a database: its service, its due heap, posts to its scheduler, and what view health shows of it.
#pragma once
#include "core/due_order.hpp"
#include "core/moment.hpp"
#include "memory/queue.hpp"

namespace pgqueue::memory {

constexpr int max_databases = 64;
constexpr int most_namespaces = 1024;  // per database
constexpr int ticker_posts = 64;

// signal/incidents.hpp
enum class Incident { Quarantined, NoHandler, Failed };
constexpr int incident_kinds = 3;
constexpr int incident_places = 128;

struct IncidentList {
    Atomic<uint32> next;
    Atomic<int64> ids[incident_places];  // 0 none
};

// What a comparison with the rows found wrong in memory and corrected (signal/incidents.hpp).
enum class Repaired { Hint, Held, Lease, Place, List };
constexpr int repaired_kinds = 5;

enum class DbState : uint32 {
    Unserved,  // no scheduler serves it: nothing is handed over, rows wait
    Loading,   // being rebuilt: transactions hand over their deltas
    Ready,
};

// Why all rows are read again once lists are short.
enum class Lost : uint32 {
    Nothing,
    Full,   // a hand-over found no memory
    Asked,  // a change of the configuration requires it
};

// The parts of Database. The comment of each names the files that write it; other files only read. A field that is not
// an Atomic names its lock in brackets.

// Whether the database is served, and what prevents it. Written by worker/launcher, worker/scheduler/scheduler and
// worker/scheduler/staff; further writers stand at the field.
struct Service {
    Atomic<DbState> state;
    Atomic<bool> wanted;               // the launcher should keep a scheduler; handover/actions too
    Atomic<bool> looked;               // the launcher has started its probe of this database
    Atomic<bool> no_extension;         // the probe found no extension here; handover/actions too
    Atomic<bool> held;                 // not adopted
    Atomic<uint32> identity_changed;   // commits since the scheduler last checked whose data this is; nothing
                                       // starts before that; handover/actions
    Atomic<pid_t> blocked_by;          // the session whose DROP/ALTER DATABASE keeps our processes out, 0 none;
                                       // worker/utility_databases
    Atomic<int64> stopped_since;       // stop_workers: no worker starts until ensure_workers (monotonic, 0: none);
                                       // api/control
    Atomic<bool> needs_first_process;  // work waits, and no process slot was free for a first process
    Atomic<int64> no_slot_since;  // since when a worker could not start for lack of a process slot (monotonic), 0 none
};

// A step that the scheduler repeats because it fails, for health. `since` is written last when it begins and first when
// it ends. The rest is read without a lock.
struct FailingStep {
    Atomic<int64> since;  // by the monotonic clock, 0: none
    bool lock;            // it met a lock
    char what[64];
};

// The scheduler's process. Written by worker/scheduler/scheduler; memory/wake clears `sleeping` and `parked`.
struct SchedulerProcess {
    Atomic<pid_t> pid;  // 0 none
    AtomicSlot procno;
    Atomic<bool> sleeping;  // it sleeps and wants to know of new work
    Atomic<bool> parked;    // it left because nothing was due; another one starts at wake_at, or when called
    Atomic<bool> left;      // the last one left by itself: no failure; worker/launcher clears it
    Atomic<int64> wake_at;  // monotonic time of its next turn or, after it left, of the launcher's next check
    Deaths deaths;          // worker/launcher
    FailingStep failing;
};

// Changes of the catalog that the scheduler has to read. worker/scheduler/configure clears them.
struct Changes {
    Atomic<bool> reload;    // read the configuration
    Atomic<uint32> count;   // commits that changed the configuration copies, each counts before it writes them;
                            // handover/actions
    Atomic<bool> roles;     // a role was created, renamed or dropped; worker/utility_hook
    Atomic<bool> handlers;  // of any namespace; handover/actions
};

// Rows that the scheduler has to read again, because shared memory lacks some of their contents.
struct Reading {
    Atomic<Lost> lost;      // set by any process that finds no memory; worker/scheduler/rebuild clears it
    Atomic<PageNo> deltas;  // pages of deltas for the scheduler while loading; handover/counts
    uint32 rebuilds;        // since the server started; worker/scheduler/rebuild [the scheduler only]
    Atomic<uint32> begun;   // rebuilds that have begun; worker/scheduler/rebuild
    Atomic<bool> refile;    // tasks of a queue are to be filed anew; dispatch/refile
    bool was_refiled;       // a queue was refiled in this life of the server; dispatch/refile [the scheduler only]
    Atomic<bool> changed;   // something was handed over since the last search for forgotten tasks;
                            // handover/transaction
    Deadline next_look;     // not before; worker/scheduler/reconcile [the scheduler only]
};

// All leases of the database. dispatch/lease, dispatch/ended_leases.
struct Leases {
    Atomic<int64> min_ends;       // lower bound of their ends (monotonic), INT64_MAX none
    Atomic<int64> min_dies;       // lower bound of dies_at of held tasks
    Atomic<uint32> charges_owed;  // leases with Owed::Charge
};

// Waiting sessions, and what they have to be notified of.
struct Waiters {
    Atomic<uint32> tasks;     // sessions that wait for a task; dispatch/waiters
    Atomic<uint32> results;   // sessions that wait for a result; api/wait
    Atomic<bool> unnotified;  // a queue's `unnotified` was set; dispatch/lanes; worker/news clears it
    Atomic<bool> listened;    // a session has used LISTEN for one of our channels since the server started;
                              // worker/utility_hook
};

// Workers of the database. worker/worker, worker/claim; memory/wake decrements `idle`.
struct Workers {
    Atomic<uint32> idle;
    AtomicSlot suspect;  // the worker that runs a suspect; only one may
};

// All ready lists of the database.
struct ReadyLists {
    Atomic<int64> min_dies;    // lower bound of dies_at over their tasks, INT64_MAX none; dispatch/ready_ttl and lanes
    Atomic<bool> taken_apart;  // a lane's `taken_apart` was set; dispatch/lanes, dispatch/priorities
    uint64 virtual_time;       // fair share, approximate; dispatch/pop [no lock]
};

// Tasks that wait for others. signal/dependency_posts.
struct Dependencies {
    Atomic<bool> posted;       // something is in `posts`, or in those of a namespace
    Atomic<bool> edges_known;  // edges from before the server's start are in Shared::awaited; worker/scheduler/rebuild
    SettlePosts posts;         // tasks that may have lost their hint; `all`: those of all namespaces are checked
};

// Posts to the scheduler about tickers. signal/ticker_posts.
struct Tickers {
    Atomic<bool> any;                 // something is in `ids`, or `all` is set
    Atomic<bool> all;                 // the scheduler reads all tickers
    Atomic<int32> ids[ticker_posts];  // tickers that were written, 0 free
    Atomic<bool> on;                  // the scheduler fires tickers; worker/scheduler/tickers
    Atomic<TimestampTz> since;        // since when
};

// Places of the fixed tables that are to become free. memory/full_table, dispatch/apply, dispatch/free_dropped,
// worker/scheduler/free_places.
struct Places {
    Atomic<uint32> drops_pending;  // dropped entries that wait to become free
    Atomic<bool> strays;           // there may be entries without an object; memory/users
    Atomic<uint32> wanted;         // requests for the places of idle lanes, sources and roles; 0: all are answered
    SlotNo unlinked_lanes;  // + 1; dropped lanes that a process may still read; dispatch/free_idle [registry lock]
};

// Tasks that wait for their time (a radix heap by due time), and put-off tasks, in a list for each reason. dispatch/due
// [due lock].
struct DueHeap {
    int64 last;
    PageList buckets[due_buckets];
    int64 least[due_buckets];
    PageList put_off[wait_kinds];
    int64 put_off_until[wait_kinds];  // time of the first (monotonic), INT64_MAX none
};

// Places of the spill file. dispatch/spill [the scheduler only].
struct SpillFile {
    Slab places;  // of pages of lists
    PageNo free_dir, free_dir_last;
    uint32 file_slots, in_file;  // places that were ever used, and pages of lists in the file
};

// State of the last decision about cleaning. It outlives the process, so that a scheduler that starts for a moment need
// not decide again. worker/scheduler/housekeeping [the scheduler only].
struct Cleaning {
    Deadline look_again;
    Deadline next_pass;     // not before, unless the segment is full
    int64 finished, bytes;  // at the last decision
    Atomic<bool> timer;     // it will check whether cleaning pays off; not after a check of a quiet database;
                            // handover/counts and dispatch/apply too
    Atomic<bool> owed;      // a pass is due even if nothing finishes: the last one met a lock, or a queue was
                            // dropped; worker/housekeeper and dispatch/apply too
};

// The housekeeper's process, and what blocked its last pass, for health. worker/housekeeper.
struct Housekeeper {
    Atomic<pid_t> pid;                    // 0 none
    Atomic<uint32> held_back;             // bits of memory/held_back.hpp
    Atomic<pid_t> holder_pid;             // the process that did this, 0 unknown
    Atomic<TransactionId> holder_xmin;    // the transaction id that a snapshot needs, 0: a lock is the reason
    Atomic<TimestampTz> held_back_since;  // only for display
};

// Statistics of queues (memory/statistics.hpp) that are not complete or not saved.
struct Unsaved {
    Atomic<bool> any;      // numbers have changed; handover/statistics, worker/save_statistics
    Atomic<bool> entries;  // an entry was made: what was saved before is to be added; memory/registry,
                           // worker/scheduler/add_saved_statistics
};

// Findings for health. signal/incidents.
struct Found {
    IncidentList incidents[incident_kinds];
    Atomic<int64> repaired[repaired_kinds];
};

struct Database {
    bool used;
    Oid oid;                        // immutable
    Atomic<uint32> generation;      // of this entry; memory/registry
    Atomic<int32> current_segment;  // -1 not known; worker/housekeeper, worker/scheduler/scheduler, handover/actions
    // memory/registry, dispatch/free_dropped [written under the registry lock]
    Atomic<int32> namespaces;    // end of the used places of `ns`
    SlotNo ns[most_namespaces];  // -1: no longer used
    Service service;
    SchedulerProcess scheduler;
    Changes changes;
    Reading reading;
    Leases leases;
    Waiters waiters;
    Workers workers;
    ReadyLists ready;
    Dependencies dependencies;
    Tickers tickers;
    Places places;
    DueHeap due_heap;
    SpillFile spill;
    Cleaning cleaning;
    Housekeeper housekeeper;
    Atomic<pid_t> notifier;  // the process, 0 none; worker/notifier
    Unsaved unsaved;
    Found found;
};

}  // namespace pgqueue::memory
