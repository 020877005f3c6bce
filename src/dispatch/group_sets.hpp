// All groups of a queue, a namespace or a database: rebuild, changes of settings, expiry. Functions with _locked are
// called under the lock of the namespace. None raises or waits.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// After a rebuild: the groups of the database may start. least: by namespace, the least id of a waiting task with a
// group key that was seen, INT64_MAX none; from it on they are read (worker/scheduler/groups.cpp).
void open_groups(SlotNo db, const int64 *least);
// Forgets all waiting tasks of groups (rebuild).
void clear_groups(SlotNo db);
// The same of a namespace's queues that are dropped, and put down up to this drop.
void clear_groups_of_dropped_locked(SlotNo ns, uint64 until);
// The same of a namespace, whose tasks are read again from their rows, in the order of their ids.
void leave_out_all(SlotNo ns);
// The limits of a queue have changed.
void settle_groups_locked(SlotNo queue);
// Groups of a queue that waited for a token and have one may start; returns when the next one has its own. The
// scheduler only.
pg::Deadline end_group_throttles(SlotNo queue, const pg::Moment &now);
// Groups that are kept for their token buckets only; returns when to look again. The scheduler only.
pg::Deadline sweep_groups(SlotNo db, const pg::Moment &now);

// Copies up to `most` refs of waiting tasks in groups whose time is over; *least: earliest dies_at of those that stay.
int expired_in_groups_locked(SlotNo ns, TimestampTz now, TaskRef *out, int most, int64 *least);

}  // namespace pgqueue::dispatch
