// Groups: tasks with a group key, in strict order. docs/internals/groups.md. Inside dispatch/ the functions with _locked are called under the lock of
// the namespace. None raises or waits.
#pragma once
#include "dispatch/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// Files a task in its group (or in the due heap, for its time); without memory the database is marked.
void file_grouped(const Hint &hint);
void file_grouped_locked(const Hint &hint);

// The group of a key in a queue, 0 none.
GroupNo group_of_locked(SlotNo queue, uint64 key);
// The best ready group of a lane, 0 none; its rank and the id of its head.
GroupNo best_group_locked(SlotNo lane);
inline Group &group(GroupNo no);
// Of a group that the caller has a place in; 0 for none. No lock.
inline uint64 key_of_group(GroupNo no);
// Takes the head of a ready group; `run`: it is going to be held, which reserves a place in the group until end_group.
struct GroupTask {
    TaskRef ref;
    int32 priority;
};
GroupTask take_head_locked(GroupNo no, bool run);

// A held task of the group has ended; `unused`: it was not started, its token goes back. Files what the namespace's inbox has first.
void end_group(SlotNo queue, GroupNo no, bool unused);
// The same for many that were started, with the lock of their namespace taken once.
void end_groups(std::span<const Place> places);
// Nobody has a task of the groups of this queue.
void forget_running_locked(SlotNo queue);
// A waiting task has left its group without having been taken from it.
void leave_group(SlotNo queue, uint64 key, int64 id);
// A task of this key is held, as its row says (rebuild). 0: no memory.
GroupNo hold_in_group(SlotNo queue, uint64 key);

// Hints that came while the database was loading, in their order.
void defer_locked(SlotNo ns, PageNo no);
void file_deferred_locked(SlotNo ns);
// After a rebuild: files what was deferred, then lets the groups of the database start.
void open_groups(SlotNo db);
// Forgets all waiting tasks of groups (rebuild).
void clear_groups(SlotNo db);
// The same of a namespace's queues that are dropped, and put down up to this drop.
void clear_groups_of_dropped_locked(SlotNo ns, uint64 until);
// The limits of a queue have changed.
void settle_groups_locked(SlotNo queue);
// Groups of a queue that waited for a token and have one may start; returns when the next one has its own. The
// scheduler only.
pg::Deadline end_group_throttles(SlotNo queue, const pg::Moment &now);
// Groups that are kept for their token buckets only; returns when to look again. The scheduler only.
pg::Deadline sweep_groups(SlotNo db, const pg::Moment &now);
// Tasks were not filed for lack of memory, of which there is enough by now.
bool may_read_groups_again(SlotNo db);

// Copies up to `most` refs of waiting tasks in groups whose time is over; *least: earliest dies_at of those that stay.
int expired_in_groups_locked(SlotNo ns, TimestampTz now, TaskRef *out, int most, int64 *least);

}  // namespace pgqueue::dispatch

#include "dispatch/slab.hpp"

namespace pgqueue::dispatch {
inline Group &group(GroupNo no) { return *slab_entry<Group>(no); }
inline uint64 key_of_group(GroupNo no) { return no != 0 ? group(no).key : 0; }
}  // namespace pgqueue::dispatch
