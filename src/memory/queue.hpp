// Entries of namespaces and queues, and the lists of their tasks. memory/shared.hpp describes the locks.
#pragma once
#include "core/priority_range.hpp"
#include "core/dispatch_settings.hpp"
#include "core/share.hpp"
#include "core/status.hpp"
#include "core/virtual_time.hpp"
#include "memory/pages.hpp"

namespace pgqueue::memory {

// Ready tasks of a lane with one priority, in order; or with a range of priorities, if there are too many for one list
// each (dispatch/priorities.hpp).
struct PriorityList {
    PriorityRange range;
    SlotNo next;          // the list of larger priorities, or the next free one
    bool sorted;          // of a range: its first page is sorted
    int32 parts;          // it is being split into so many lists, which follow it; 0 it is not
    PriorityRange split;  // its range when the split began
    PageList list;
};

// Counts of a queue: one for each status, and one for rows that wait for other tasks.
constexpr int awaiting = status_count;
constexpr int count_kinds = status_count + 1;
// A delta of this kind counts open edges of a namespace; its slot is that of the namespace.
constexpr int edges = count_kinds;

// Ready tasks of one queue and one role (role -1: for outside workers). A held lane has the tasks of a role that does
// not exist: no worker takes them, and the lane is in no source.
struct Lane {
    SlotNo ns, queue, role;  // immutable
    bool held;               // immutable
    uint64 drop;  // number of its drop (dispatch/free_idle.hpp), 0 it is in use [written under the registry lock]
    AtomicSlot next_of_queue;         // [written under the registry lock]
    int64 due;                        // entries in the due heap and the lists of put-off tasks [due lock]
    int64 grouped;                    // tasks in groups
    SlotNo source;                    // immutable
    SlotNo first;                     // PriorityList, best first
    int32 lists;                      // number of lists
    bool taken_apart;                 // one of them is being split, and the scheduler has to continue
    SlotNo next_active, prev_active;  // in source, while `active`; for an unlinked lane: the next such lane, -1 end
    bool active;
    int64 count;        // ready entries and groups
    ReadyOrder groups;  // the ready groups
};

// Counts processes that ended without need (signal/incidents.hpp).
struct Deaths {
    Atomic<uint32> count;
    Atomic<int64> first, last;  // by the monotonic clock
};

// The lanes of one role (-1: outside workers) in one namespace that have work and are not blocked.
struct Source {
    SlotNo ns, role;      // immutable
    uint64 drop;          // number of its drop (dispatch/free_idle.hpp), 0 it is in use
    SlotNo next_of_role;  // -1 end [written under the registry lock]
    SlotNo first_active;
    Atomic<int64> ready;  // entries in active lanes [atomic, written under the namespace's lock]
};

// A role whose workers run tasks of a database.
struct Role {
    bool used;
    SlotNo db;      // immutable
    int32 role_id;  // immutable; key in pgqueue_internal.role
    uint64 drop;    // number of its drop (dispatch/free_idle.hpp), 0 it is in use [written under the registry lock]
    Oid oid;        // written by the scheduler; the role as which the workers connect
    AtomicSlot first_source;  // published after the source is complete
    Atomic<int32> workers;    // live or starting workers [atomic]
    Deaths deaths;            // workers that ended by themselves
    Atomic<bool> refused;     // its last workers ended before they began, so the next one waits; worker/scheduler/staff
};

enum class Refile : uint32 { No, Wanted, Begun };  // dispatch/refile.hpp

// The extension's own queues have lower ids (sql/02_tables.sql). Their statistics are neither shown nor saved.
constexpr int32 first_id_of_users = 100;

// The settings are a copy, written under the lock of the namespace.
struct Queue : QueueSettings {
    bool used;
    SlotNo db, ns;          // immutable
    int32 queue_id;         // immutable
    SlotNo next_hash;       // registry
    AtomicSlot first_lane;  // [written under the registry lock]
    Atomic<bool> dropped;   // the place waits to become free (dispatch/free_dropped.hpp)
    uint64 drop;            // number of its drop (memory/users.hpp)
    // state, namespace lock
    bool configured;                    // the settings have been copied
    TokenBucket bucket;                 // for rate_limit
    int64 throttled_until;              // no token before (monotonic), 0 not throttled; the scheduler clears it
    ReadyOrder throttled_groups;        // groups that wait for a token
    int64 group_token_at;               // when the first of these gets a token (monotonic), 0 there is none
    Atomic<int32> running;              // tasks that are popped, retained or leased
    Atomic<bool> blocked;               // lanes were removed from their sources because of a limit
    Atomic<int64> counts[count_kinds];  // rows by status, and rows that wait for other tasks
    Atomic<TimestampTz> failed_since;   // since when there have been failed tasks (wall time), 0 there are none
    Atomic<bool> failures_unnotified;   // tasks have failed for good, and LISTEN clients have not been notified
    Atomic<bool> unnotified;   // ready tasks for outside workers for which LISTEN clients have not been notified
    Atomic<int64> hinted;      // entries in ready lists and due heap
    Atomic<int64> full_since;  // since when max_depth has refused all tasks (monotonic), 0 it has not
    // dispatch/refile.hpp
    Atomic<Refile> refile;
    bool rows_decide;  // entries of the due heap may name a former lane; written and read by the scheduler
};

// Posts to the scheduler about tasks that wait for others. signal/dependency_posts.
constexpr int settle_posts = 128;
struct SettlePosts {
    Atomic<bool> any;                 // something is in `ids`, or `all` is set
    Atomic<bool> all;                 // the scheduler checks all tasks that wait for others
    Atomic<int64> ids[settle_posts];  // tasks that ended or wait, 0 free
};

// Bounds of the runs of a namespace in table slow_run, in microseconds. A run that exceeds one is added.
// task/slow_runs, worker/save_statistics.
struct SlowRuns {
    Atomic<int64> least_run_us, least_cpu_us;
    Atomic<int32> added;  // since the table was trimmed
};

// Tasks whose rows the scheduler reads because they were not handed over. dispatch/missed.
struct Missed {
    int64 from, to;     // their ids are between these; to 0: there are none
    TransactionId xid;  // neither this transaction nor a later one wrote the other rows
};

// Pages that are linked by `next`, oldest first.
struct PageChain {
    PageNo first, last;  // 0 none
};

// A namespace: its limits, its hand-overs and its groups.
struct Namespace {
    bool used;
    SlotNo db;                  // immutable
    int32 ns_id;                // immutable
    AtomicSlot outside_source;  // of the lanes for outside workers, published when complete
    Atomic<PageNo> inbox;       // pages handed over, newest first
    Atomic<bool> crowded;       // pages that were handed over wait for room
    int32 weight;
    int32 max_running;  // 0 none
    bool paused;
    Shares shares;         // its parts of what all namespaces share
    Atomic<int32> leases;  // entries of leases for its tasks, including popped ones
    int32 queues;  // its queues, including dropped ones that are not free yet; below: only these [registry lock]
    int32 dropped_queues;
    Atomic<bool> dropped;  // as of a queue
    uint64 drop;
    Atomic<bool> handlers_changed;
    Atomic<int32> running;
    Atomic<bool> blocked;
    Atomic<int64> full_since;                     // as of a queue
    Atomic<int32> lanes;                          // its lanes
    Atomic<int32> times_pages;                    // with histograms of its queues; stats/totals
    Atomic<int32> named_stats[named_stat_kinds];  // its named entries of statistics; stats/named
    SlowRuns slow_runs;
    Atomic<int64> edges;        // open edges (handover/edges.hpp)
    Atomic<int64> edges_asked;  // reserved by open transactions
    SettlePosts posts;
    uint64 virtual_time;  // of fair share: grows by virtual_time_unit / weight for each task
    PageList arrived;     // waiting tasks whose time has come; dispatch/due [due lock of its database]
    // namespace lock
    // Pages from the inbox that are not filed yet: of tasks with a group key, and the others.
    PageChain handed_grouped, handed;
    int32 lists;  // priority lists in its lanes
    Slab groups, group_nodes;
    int64 groups_upto;    // waiting tasks with a group key and a greater id were left out of memory, INT64_MAX none
    int64 groups_missed;  // the least id left out since the scheduler began to read, INT64_MAX none
    bool groups_short;    // they were left out for lack of memory, or because of max_groups
    bool groups_blocked;  // there was no room at the last reading
    Missed missed;        // to be read after missed_read
    Missed missed_read;   // without a lock, the scheduler only
    Atomic<bool> roles_complete;  // what was saved of its roles has been added; worker/scheduler/add_saved_statistics
    bool idle_groups;             // some groups exist only for their token buckets
};

}  // namespace pgqueue::memory
