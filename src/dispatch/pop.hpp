// Taking tasks from the ready lists: best priority first, oldest inside that, fair between namespaces, within the
// limits.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Pops up to `most` tasks of one queue for a worker of `role` in its database, best first: fair between namespaces,
// best priority inside, oldest inside that; reserves running counts of queue and namespace for each. Notes them in the
// worker's holds before the lock goes. Returns how many. 0: nothing that may run.
int pop_for_worker(SlotNo worker, int most);
// Pops tasks of some queues of a namespace (empty: of all) for an outside worker, best priority first, then oldest,
// into reserved entries (unheld.hpp), as many as there are. Their running counts are reserved. Returns how many.
int pop_for_outside(SlotNo ns, std::span<const SlotNo> queues, std::span<const SlotNo> entries);
// Would pop_for_outside find something?
bool ready_for_outside(SlotNo ns, std::span<const SlotNo> queues);

// A ready task as its lists know it; group: key of its group, 0 none.
struct Ready {
    TaskRef ref;
    SlotNo queue;
    uint64 group;
};
// Ready tasks of a role for the scheduler itself, without limits or reservations: up to `most` of a list, which are
// popped, or the head of a group, which stays there until it is filed anew or leaves.
int pop_for_scheduler(SlotNo db, SlotNo role, Ready *out, int most);
// Tasks of the role that could run now (limits of single queues not counted).
int64 ready_for_role(SlotNo role);

}  // namespace pgqueue::dispatch
