// Tasks of a queue are in the wrong lists: its executor or the policy of its groups has changed, or they were held for
// a role or a handler that is there by now. The scheduler takes ready ones out of lists and groups and files them anew,
// as their rows say; other queues go on.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Has the scheduler file the tasks of a queue anew.
void want_refile(SlotNo queue);
// The same for queues with held tasks, of namespaces where handlers have changed, or of all. The scheduler only.
void refile_held(SlotNo db, bool all);

// Begins with the queues that want it or have strays, and once more with those that a scheduler before has left:
// empties their lists, and the groups of their namespaces, which are read again (worker/scheduler/groups.cpp). A queue
// waits while groups of its namespace are read: else they would never be read to the end when somebody changes a queue
// again and again. Returns whether a pass has begun. The scheduler only.
bool begin_refile(SlotNo db);
// Tasks for outside workers in a queue of the server: a transaction that began before the change has handed them over
// after it.
bool has_strays(SlotNo db);
inline bool is_refiled(const Queue &q) { return q.refile.load() != Refile::No; }
// All rows were seen.
void end_refile(SlotNo db);

}  // namespace pgqueue::dispatch
