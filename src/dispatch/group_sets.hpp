// Operations on all groups of a queue, a namespace or a database: rebuild, changes of settings, expiry. The caller of a
// function with _locked holds the namespace lock. No function raises an error, or waits except for a lock.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// Lets the groups of a database start again after a rebuild. least: by namespace, the least id of a waiting task with a
// group key that was seen, INT64_MAX none. The scheduler reads the tasks from this id on (worker/scheduler/groups.cpp).
// Takes the locks of the namespaces.
void open_groups(SlotNo db, const int64 *least);
// Removes all waiting tasks from the groups of a database, for a rebuild. Takes the locks of the namespaces.
void clear_groups(SlotNo db);
// Removes the waiting tasks of the namespace's queues that are dropped, and put down up to the drop `until`.
void clear_groups_of_dropped_locked(SlotNo ns, uint64 until);
// Removes all waiting tasks from the groups of a namespace, so that they are read again from their rows, in the order
// of their ids. Takes the namespace lock.
void leave_out_all(SlotNo ns);
// Updates all groups of a queue after a change of its limits.
void settle_groups_locked(SlotNo queue);
// Updates the groups of a queue that waited for a token and have one now. Returns when the next group gets its token.
// Takes the namespace lock. The scheduler only.
pg::Deadline end_group_throttles(SlotNo queue, const pg::Moment &now);
// Frees groups that were kept only for their token buckets, once these are full. Returns when to call it again. Takes
// the locks of the namespaces. The scheduler only.
pg::Deadline sweep_groups(SlotNo db, const pg::Moment &now);

// Copies up to `most` refs of waiting tasks in groups whose dies_at has passed, each task once. Returns how many.
// Lowers *least to a lower bound of the dies_at of the other tasks.
int expired_in_groups_locked(SlotNo ns, TimestampTz now, TaskRef *out, int most, int64 *least);

}  // namespace pgqueue::dispatch
