// What holds the tasks of a queue, a group or a role back now, for views and why(). A copy; it may have changed by the
// time it is read. What is in the inboxes is not seen: the caller has drained them.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

struct QueueLook {
    int64 ready;  // tasks in its lanes
    int32 running;
    int32 max_running;       // 0 none
    bool full;               // max_running is reached
    TimestampTz next_token;  // the rate limit allows no start before, 0: it does now
    int32 ns_running;
    int32 ns_max_running;  // 0 none
    bool ns_full;
    int64 leases;       // of the namespace
    int64 lease_limit;  // its part of them
    bool no_lease;      // it gets none more
};
QueueLook inspect_queue(SlotNo queue);

// A waiting task in its group.
struct GroupLook {
    int64 before;  // tasks of the group that start before it, at most group_look_most are counted; -1: it is not in the
                   // group
    int64 head;    // the first of them
    int32 running;
    int32 max_running;
    TimestampTz next_token;  // as in QueueLook
};
constexpr int64 group_look_most = 10000;
GroupLook look_at_group(SlotNo queue, uint64 key, int64 id);

struct RoleLook {
    int32 workers;  // live or starting
    uint32 idle;    // of these, those that have nothing to do
    int64 ready;    // tasks that its workers could take
    bool full;      // max_workers_per_role is reached and all are busy
};
RoleLook look_at_role(SlotNo role);
// Ready tasks of a queue that are held because their role does not exist. Those that have ended since may be among
// them: the first ones are given for asking their rows.
struct HeldLook {
    SlotNo role;
    int64 tasks;
    int n_refs;
    TaskRef refs[1000];
};
// One role after the other; *lane is -1 before the first. False: no more.
bool look_at_held(SlotNo queue, SlotNo *lane, HeldLook *look);
// Whether any are, and of which roles.
bool any_held(SlotNo db, bool *by_role);

// Lists of priorities of a namespace in which something is.
struct PrioritiesLook {
    bool has;  // one of the queue has this priority
    int64 used;
    int64 free;  // for all namespaces
};
PrioritiesLook look_at_priorities(SlotNo queue, int32 priority);
int64 priorities_in_use(SlotNo ns);

// The first tasks of the lists of a queue: one of them has waited longest. Of all lanes that may run, or of those of a
// role (-1: of outside workers).
constexpr SlotNo every_role = -2;
struct FirstLook {
    int n_refs;
    TaskRef refs[64];
};
void look_at_first(SlotNo queue, SlotNo role, FirstLook *look);

// Has any worker of the cluster nothing to do?
bool any_idle_worker();

}  // namespace pgqueue::dispatch
