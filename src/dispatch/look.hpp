// Reads what holds back the tasks of a queue, a group or a role now, for views and why(). The results are copies, which
// may be out of date when the caller reads them. Tasks in inboxes are not seen, so the caller drains the inboxes first.
// Functions with a lock take it in shared mode.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

struct QueueLook {
    int64 ready;  // tasks in its lanes, without held ones
    int32 running;
    int32 max_running;       // 0 none
    bool full;               // max_running is reached
    TimestampTz next_token;  // the rate limit allows no start before, 0: it allows one now
    int32 ns_running;
    int32 ns_max_running;  // 0 none
    bool ns_full;
    int64 leases;       // of the namespace
    int64 lease_limit;  // its part of them
    bool no_lease;      // it gets no more of them
};
// Reads the state of a queue and its namespace. Takes the namespace lock.
QueueLook inspect_queue(SlotNo queue);

// The waiting tasks of a queue.
struct WaitingLook {
    int64 ready;    // could start now
    int64 delayed;  // wait for their time
    int64 blocked;  // wait for other tasks, their group, their role, a limit or the end of a pause
    int64 listed;   // in ready lists, even if a limit or a pause blocks the queue
};
// Counts them. Takes the namespace lock.
WaitingLook look_at_waiting(SlotNo queue);

// A waiting task in its group.
struct GroupLook {
    int64 before;  // tasks of the group before it, counted up to group_look_most; -1: it is not in the group
    int64 head;    // id of the task at the head
    int32 running;
    int32 max_running;
    TimestampTz next_token;  // as in QueueLook
};
constexpr int64 group_look_most = 10000;
// Reads the place of a task in its group, and the state of the group. Takes the namespace lock.
GroupLook look_at_group(SlotNo queue, uint64 key, int64 id);

struct RoleLook {
    int32 workers;  // live or starting
    uint32 idle;    // workers of these without a task
    int64 ready;    // tasks that its workers could take
    bool full;      // max_workers_per_role is reached and all are busy
};
// Reads the state of a role. Takes no lock.
RoleLook look_at_role(SlotNo role);
// Ready tasks of a queue that are held because their role does not exist. Some of them may have ended since. `refs` has
// the first ones, so that the caller can read their rows.
struct HeldLook {
    SlotNo role;
    int64 tasks;
    int n_refs;
    TaskRef refs[100];
};
// Reads the next role of a queue that has such tasks. *lane is -1 before the first one. Returns false if there are no
// more. Takes the namespace lock.
bool look_at_held(SlotNo queue, SlotNo *lane, HeldLook *look);
// Returns whether the database has such tasks, and sets by_role[role] for their roles. Takes no lock.
bool any_held(SlotNo db, bool *by_role);

// The lists of priorities of a namespace that have tasks.
struct PrioritiesLook {
    bool has;    // a list of the queue has this priority
    int64 used;  // counted only if not `has`
    int64 free;  // lists that are free for all namespaces
};
// Reads them for a priority of a queue. Drains the inbox of the namespace. Takes the namespace lock.
PrioritiesLook look_at_priorities(SlotNo queue, int32 priority);
// Returns how many lists of a namespace have tasks. Takes the namespace lock.
int64 priorities_in_use(SlotNo ns);

// Returns whether any worker of the cluster is idle. Takes no lock.
bool any_idle_worker();

}  // namespace pgqueue::dispatch
