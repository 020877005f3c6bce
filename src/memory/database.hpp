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

// What the scheduler has seen when it last thought of cleaning. It outlives the process: one that starts for a moment
// need not look again.
struct Cleaning {
    Deadline look_again;
    Deadline next_pass;  // not before, unless the segment is full
    int64 finished, bytes;   // as of the last look
};

// What the scheduler tries again and again, for health. Written by the scheduler; `since` first, and last when it is over.
struct FailingStep {
    Atomic<int64> since;  // by the monotonic clock, 0: none
    bool lock;               // it met a lock
    char what[64];
};

// Why all rows are read again when lists are short.
enum class Lost : uint32 {
    Nothing,
    Full,   // a hand-over found no memory
    Asked,  // a change of the configuration wants it
};

struct Database {
    bool used;
    Oid oid;                         // immutable
    Atomic<DbState> state;
    Atomic<uint32> generation;     // of this entry
    Atomic<bool> held;           // not adopted
    Atomic<uint32> identity_changed;  // commits since the scheduler has asked whose data this is; nothing starts before
    Atomic<pid_t> blocked_by;     // pid of the session whose DROP/ALTER DATABASE keeps us out, 0 none
    Atomic<bool> looked;         // the launcher has had a look inside taken
    Atomic<bool> starving;       // work waits and no process slot was free for a first process
    Atomic<bool> left;           // its last scheduler left by itself: no failure
    Atomic<bool> no_extension;   // the probe found no extension here
    Atomic<bool> wanted;         // the launcher should keep a scheduler
    Atomic<bool> parked;         // its scheduler left because nothing was due; back at wake_at, or when called
    Atomic<bool> cleaning_timer; // the scheduler will look whether cleaning is worth it; not after a look at a quiet database
    Atomic<bool> stopped;        // stop_workers: no worker starts until ensure_workers
    Atomic<pid_t> scheduler_pid;
    AtomicSlot scheduler_procno;
    Atomic<pid_t> housekeeper_pid;
    Atomic<bool> sleeping;       // scheduler sleeps and wants to hear of new work
    Atomic<int64> min_lease;      // lower bound of the ends of leases (monotonic), INT64_MAX none
    Atomic<int64> min_lease_dies; // the same of dies_at of held tasks
    Atomic<uint32> charges_owed;   // leases with Owed::Charge
    Atomic<uint32> unwatched;      // retained rows for which no entry of a lease was free
    Atomic<uint32> task_waiters;
    Atomic<bool> news;           // a queue's `news` was set
    Atomic<bool> listened;       // somebody has used LISTEN for one of our channels since the server started
    Atomic<int64> min_dies;       // lower bound of dies_at over ready tasks, INT64_MAX none
    Atomic<int64> wake_at;        // monotonic time of the scheduler's (or, when it left, the launcher's) next look
    Atomic<PageNo> delta_inbox;    // pages of deltas for the scheduler while loading
    Atomic<bool> taken_apart;    // a lane's `taken_apart` was set
    Atomic<Lost> lost;
    Atomic<bool> reload;         // configuration changed
    Atomic<uint32> config_changes; // commits that changed the configuration copies, each counts before it writes them
    Atomic<bool> roles_changed;  // a role was made, renamed or dropped
    Atomic<bool> handlers_changed;  // handlers were
    Atomic<bool> refile;         // tasks of a queue are to be filed anew (dispatch/refile.hpp)
    bool was_refiled;                // a queue of it, in this life of the server
    Atomic<uint32> idle_workers;
    Atomic<uint32> result_waiters;
    Atomic<int32> current_segment;  // -1 not known
    AtomicSlot suspect_running;  // the worker that runs the one suspect
    Atomic<bool> any_posted;     // something is in `posted`, or settle_all is set
    Atomic<bool> settle_all;     // the scheduler looks at all tasks that wait for others
    Atomic<bool> awaited_known;  // edges of earlier lives of the server are in Shared::awaited
    Atomic<int64> posted[settle_posts];  // ids of tasks that ended or wait, 0 free
    Atomic<bool> any_ticker;     // something is in `tickers`, or all_tickers is set
    Atomic<bool> all_tickers;    // the scheduler reads all tickers
    Atomic<int32> tickers[ticker_posts];  // ids of tickers that were written, 0 free
    Atomic<bool> tickers_on;     // the scheduler fires tickers
    Atomic<TimestampTz> tickers_since;  // since when
    Atomic<int32> namespaces;     // end of the entries below
    SlotNo ns[most_namespaces];      // -1: none any more
    Atomic<uint32> drops_pending;  // entries that were dropped and wait to be free
    Atomic<bool> strays;         // there may be entries whose creation was rolled back
    Atomic<uint32> places_wanted;  // requests for places that idle lanes, sources and roles have; 0 all are answered
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
    Atomic<bool> changed;        // something was handed over since the last look for what was forgotten
    Deadline next_look;              // scheduler: not before (scheduler/reconcile.cpp)
    // last housekeeping, for health
    Atomic<uint32> cleaning_held_back;
    Atomic<bool> cleaning_owed;  // a pass is due also when nothing finishes: the last one met a lock, or a queue was dropped
    Atomic<pid_t> holder_pid;     // who held the cleaning back then, 0 unknown
    Atomic<TransactionId> holder_xmin;    // the transaction id that somebody's snapshot needs, 0: a lock is in the way
    Atomic<TimestampTz> held_back_since;  // to be shown only
    IncidentList incidents[incident_kinds];
    Atomic<int64> repaired[repaired_kinds];
    Deaths scheduler_deaths;
    uint32 rebuilds;                 // since the server started
    int64 no_slot_since;             // a worker could not be started for lack of a process slot (monotonic), 0 none
};

}  // namespace pgqueue::memory
