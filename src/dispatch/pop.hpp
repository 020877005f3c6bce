// Takes tasks from the ready lists: best priority first, oldest within a priority, fair between namespaces, within the
// limits.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Pops up to `most` tasks, at most max_batch, for a worker. They belong to the namespace that is furthest behind among
// those with tasks that may run. The best priority comes first, then the oldest task. Reserves places under the limits
// for them. Writes the tasks to the worker's holds before it releases the namespace lock. Returns how many; 0: no task
// may run. Takes the locks of the namespaces.
int pop_for_worker(SlotNo worker, int most);
// Pops tasks of some queues of a namespace (empty: of all) for an outside worker, best priority first, then oldest.
// `entries` are reserved entries (dispatch/reserved_leases.hpp), one for each task that may be popped. Reserves places
// under the limits. Returns how many tasks were popped. Takes the namespace lock.
int pop_for_outside(SlotNo ns, std::span<const SlotNo> queues, std::span<const SlotNo> entries);
// Returns whether pop_for_outside() would find a task. Takes the namespace lock.
bool ready_for_outside(SlotNo ns, std::span<const SlotNo> queues);

// A ready task as its lists know it. group: key of its group, 0 none.
struct Ready {
    TaskRef ref;
    SlotNo queue;
    uint64 group;
};
// Takes ready tasks of a role for the scheduler itself, without limits or reservations, and copies them to `out`: up to
// `most` of a list, which are popped, or the head of a group. The head stays in the group until it is filed anew or
// leaves. Returns how many. Takes the locks of the namespaces. The scheduler only.
int pop_for_scheduler(SlotNo db, SlotNo role, Ready *out, int most);
// Returns how many tasks of the role could run now. Counts all tasks of a queue that may run, even if its limits allow
// fewer. Takes no lock.
int64 ready_for_role(SlotNo role);

}  // namespace pgqueue::dispatch
