// The entry of a database: its service, its due heap, what is posted to its scheduler, and what health shows of it.
#pragma once
#include "core/due_order.hpp"
#include "core/moment.hpp"
#include "memory/queue.hpp"

namespace pgqueue::memory {

constexpr int max_databases = 64;
constexpr int most_namespaces = 1024;  // of a database
constexpr int settle_posts = 1024;
constexpr int ticker_posts = 64;

// signal/incidents.hpp
enum class Incident { Quarantined, NoHandler };
constexpr int incident_kinds = 2;
constexpr int incident_places = 128;

struct IncidentList {
    Atomic<uint32> next;
    Atomic<int64> ids[incident_places];  // 0 none
};

// What a look at the rows found wrong in memory and put right (signal/incidents.hpp).
enum class Repaired { Hint, Held, Lease, Place, List };
constexpr int repaired_kinds = 5;

enum class DbState : uint32 {
    Unserved,  // no scheduler has taken it: nothing is handed over, rows wait
    Loading,   // being rebuilt: hand-overs carry their deltas
    Ready,
};

// Why all rows are read again when lists are short.
enum class Lost : uint32 {
    Nothing,
    Full,   // a hand-over found no memory
    Asked,  // a change of the configuration wants it
};

// The parts of Database. Each names the files that write it, others read. A field that is not an Atomic says under
// which lock it is.

// Whether the database is served, and what keeps it from that. worker/launcher, worker/scheduler/scheduler,
// worker/scheduler/staff; who else writes a field stands there.
struct Service {
    Atomic<DbState> state;
    Atomic<bool> wanted;              // the launcher should keep a scheduler; handover/actions too
    Atomic<bool> looked;              // the launcher has had a look inside taken
    Atomic<bool> no_extension;        // the probe found no extension here; handover/actions too
    Atomic<bool> held;                // not adopted
    Atomic<uint32> identity_changed;  // commits since the scheduler has asked whose data this is; nothing starts
                                      // before; handover/actions
    Atomic<pid_t> blocked_by;         // the session whose DROP/ALTER DATABASE keeps us out, 0 none;
                                      // worker/utility_databases
    Atomic<bool> stopped;             // stop_workers: no worker starts until ensure_workers; api/control
    Atomic<bool> starving;            // work waits and no process slot was free for a first process
    Atomic<int64> no_slot_since;      // a worker could not be started for lack of a process slot (monotonic), 0 none
};

// What the scheduler tries again and again, for health. `since` is written first, and last when it is over; the rest
// is read without a lock.
struct FailingStep {
    Atomic<int64> since;  // by the monotonic clock, 0: none
    bool lock;            // it met a lock
    char what[64];
};

// The scheduler's process. worker/scheduler/scheduler; memory/wake takes `sleeping` and `parked` off.
struct SchedulerProcess {
    Atomic<pid_t> pid;  // 0 none
    AtomicSlot procno;
    Atomic<bool> sleeping;  // it sleeps and wants to hear of new work
    Atomic<bool> parked;    // it left because nothing was due; back at wake_at, or when called
    Atomic<bool> left;      // the last one left by itself: no failure; worker/launcher takes it off
    Atomic<int64> wake_at;  // monotonic time of its (or, when it left, the launcher's) next look
    Deaths deaths;          // worker/launcher
    FailingStep failing;
};

// Changes of the catalog that the scheduler has to read. worker/scheduler/configure takes them off.
struct Changes {
    Atomic<bool> reload;    // of the configuration
    Atomic<uint32> count;   // commits that changed the configuration copies, each counts before it writes them;
                            // handover/actions
    Atomic<bool> roles;     // a role was made, renamed or dropped; worker/utility_hook
    Atomic<bool> handlers;  // of any namespace; handover/actions
};

// Which rows the scheduler has to read again, since memory does not know all that they say.
struct Reading {
    Atomic<Lost> lost;      // whoever finds no memory; worker/scheduler/rebuild takes it off
    Atomic<PageNo> deltas;  // pages of them for the scheduler while loading; handover/counts
    uint32 rebuilds;        // since the server started; worker/scheduler/rebuild [the scheduler only]
    Atomic<bool> refile;    // tasks of a queue are to be filed anew; dispatch/refile
    bool was_refiled;       // a queue of it, in this life of the server; dispatch/refile [the scheduler only]
    Atomic<bool> changed;   // something was handed over since the last look for what was forgotten;
                            // handover/transaction
    Deadline next_look;     // not before; worker/scheduler/reconcile [the scheduler only]
};

// What holds for all leases of the database. dispatch/lease, dispatch/lease_look.
struct Leases {
    Atomic<int64> min_ends;       // lower bound of their ends (monotonic), INT64_MAX none
    Atomic<int64> min_dies;       // the same of dies_at of held tasks
    Atomic<uint32> charges_owed;  // leases with Owed::Charge
    Atomic<uint32> unwatched;     // retained rows for which no entry was free; worker/scheduler/rebuild and recover
};

// Who waits, and what they have to hear of.
struct Waiters {
    Atomic<uint32> tasks;    // sessions that wait for a task; dispatch/waiters
    Atomic<uint32> results;  // and for a result; api/wait
    Atomic<bool> news;       // a queue's `news` was set; dispatch/lanes, taken off by worker/scheduler/leases
    Atomic<bool> listened;   // somebody has used LISTEN for one of our channels since the server started;
                             // worker/utility_hook
};

// worker/worker, worker/claim; memory/wake takes idle ones.
struct Workers {
    Atomic<uint32> idle;
    AtomicSlot suspect;  // the one that runs the one suspect
};

// What holds for all ready lists of the database.
struct ReadyLists {
    Atomic<int64> min_dies;    // lower bound of dies_at over their tasks, INT64_MAX none; dispatch/expiry and lanes
    Atomic<bool> taken_apart;  // a lane's `taken_apart` was set; dispatch/lanes, dispatch/priorities
    uint64 virtual_time;       // fair share, approximate; dispatch/pop [no lock]
};

// What is posted to the scheduler of tasks that wait for others. signal/awaited.
struct Posts {
    Atomic<bool> any;          // something is in `ids`, or `all` is set
    Atomic<bool> all;          // the scheduler looks at all tasks that wait for others
    Atomic<bool> edges_known;  // edges of earlier lives of the server are in Shared::awaited; worker/scheduler/rebuild
    Atomic<int64> ids[settle_posts];  // tasks that ended or wait, 0 free
};

// What is posted to the scheduler of tickers. signal/tickers.
struct Tickers {
    Atomic<bool> any;                 // something is in `ids`, or `all` is set
    Atomic<bool> all;                 // the scheduler reads all tickers
    Atomic<int32> ids[ticker_posts];  // that were written, 0 free
    Atomic<bool> on;                  // the scheduler fires tickers; worker/scheduler/tickers
    Atomic<TimestampTz> since;        // since when
};

// Places of the fixed tables that are to become free. memory/full_table, dispatch/apply, dispatch/reclaim,
// worker/scheduler/places.
struct Places {
    Atomic<uint32> drops_pending;  // entries that were dropped and wait to be free
    Atomic<bool> strays;           // there may be entries whose creation was rolled back; memory/users
    Atomic<uint32> wanted;         // requests for places that idle lanes, sources and roles have; 0 all are answered
    SlotNo unlinked_lanes;         // + 1; dropped lanes that may still be looked at; dispatch/idle [registry lock]
};

// Tasks that wait for their time (radix heap on due time), and those that were put off, a list for each reason.
// dispatch/due [due lock].
struct DueHeap {
    int64 last;
    PageList buckets[due_buckets];
    int64 least[due_buckets];
    PageList put_off[wait_kinds];
    int64 put_off_until[wait_kinds];  // of the first (monotonic), INT64_MAX none
};

// Free places of the spill file. dispatch/spill [the scheduler only].
struct SpillFile {
    PageNo free_dir, free_dir_last;
    uint32 file_slots, in_file;  // places that were ever used, and pages of lists that are there
};

// What the scheduler has seen when it last thought of cleaning. It outlives the process: one that starts for a moment
// need not look again. worker/scheduler/housekeeping [the scheduler only].
struct Cleaning {
    Deadline look_again;
    Deadline next_pass;     // not before, unless the segment is full
    int64 finished, bytes;  // as of the last look
    Atomic<bool> timer;     // it will look whether cleaning is worth it; not after a look at a quiet database;
                            // handover/counts and dispatch/apply too
    Atomic<bool> owed;      // a pass is due also when nothing finishes: the last one met a lock, or a queue was
                            // dropped; worker/housekeeper and dispatch/apply too
};

// The housekeeper's process, and what kept its last pass from its work, for health. worker/housekeeper.
struct Housekeeper {
    Atomic<pid_t> pid;                    // 0 none
    Atomic<uint32> held_back;             // bits of memory/held_back.hpp
    Atomic<pid_t> holder_pid;             // who did that then, 0 unknown
    Atomic<TransactionId> holder_xmin;    // the transaction id that somebody's snapshot needs, 0: a lock is in the way
    Atomic<TimestampTz> held_back_since;  // to be shown only
};

// What was found, for health. signal/incidents.
struct Found {
    IncidentList incidents[incident_kinds];
    Atomic<int64> repaired[repaired_kinds];
};

struct Database {
    bool used;
    Oid oid;                        // immutable
    Atomic<uint32> generation;      // of this entry; memory/registry
    Atomic<int32> current_segment;  // -1 not known; worker/housekeeper, worker/scheduler/scheduler, handover/actions
    // memory/registry, dispatch/reclaim [written under the registry lock]
    Atomic<int32> namespaces;    // end of the entries below
    SlotNo ns[most_namespaces];  // -1: none any more
    Service service;
    SchedulerProcess scheduler;
    Changes changes;
    Reading reading;
    Leases leases;
    Waiters waiters;
    Workers workers;
    ReadyLists ready;
    Posts posts;
    Tickers tickers;
    Places places;
    DueHeap due_heap;
    SpillFile spill;
    Cleaning cleaning;
    Housekeeper housekeeper;
    Found found;
};

}  // namespace pgqueue::memory
