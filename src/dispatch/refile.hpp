// Files tasks of a queue anew that are in the wrong lists. The executor of the queue or the policy of its groups has
// changed, or the tasks were held for a role or a handler that exists now. The scheduler takes ready tasks out of lists
// and groups, and files them as their rows say. Other queues continue meanwhile.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Makes the scheduler file the tasks of a queue anew. Takes no lock.
void want_refile(SlotNo queue);
// Does the same for queues with held tasks, of namespaces whose handlers have changed, or of all. Allocates memory.
// Takes no lock. The scheduler only.
void refile_held(SlotNo db, bool all);

// Begins a pass for the queues that are marked or have strays, including queues that a former scheduler did not finish.
// Empties their lists, and the groups of their namespaces, which are read again (worker/scheduler/groups.cpp). A queue
// waits while groups of its namespace are being read. Otherwise that reading would never come to its end if a user
// changes a queue again and again. Returns whether a pass has begun. Allocates memory. Takes the locks of the
// namespaces. The scheduler only.
bool begin_refile(SlotNo db);
// Returns whether a queue of the server has tasks for outside workers: a transaction that began before the change has
// handed them over after it. Takes no lock.
bool has_strays(SlotNo db);
// Returns whether the queue is marked, or a pass for it has begun. Takes no lock.
inline bool is_refiled(const Queue &q) { return q.refile.load() != Refile::No; }
// Ends the pass: all rows were read. Takes no lock.
void end_refile(SlotNo db);

}  // namespace pgqueue::dispatch
