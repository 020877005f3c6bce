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
    pg_atomic_uint32 next;
    pg_atomic_uint64 ids[incident_places];  // 0 none
};

// What a look at the rows found wrong in memory and put right (signal/incidents.hpp).
enum class Repaired { Hint, Held, Lease, Place, List };
constexpr int repaired_kinds = 5;

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

}  // namespace pgqueue::memory
