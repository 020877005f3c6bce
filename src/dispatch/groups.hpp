// Groups: tasks with a group key, in strict order. docs/internals/groups.md. Inside dispatch/ the functions with _locked are called under the lock of
// the namespace. None raises or waits.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// Files a task in its group (or in the due heap, for its time), or leaves it out for want of memory.
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

// After a rebuild: the groups of the database may start. least: by namespace, the least id of a waiting task with a group key that was seen, INT64_MAX none;
// from it on they are read (worker/scheduler/groups.cpp).
void open_groups(SlotNo db, const int64 *least);
// Forgets all waiting tasks of groups (rebuild).
void clear_groups(SlotNo db);
// The same of a namespace's queues that are dropped, and put down up to this drop.
void clear_groups_of_dropped_locked(SlotNo ns, uint64 until);
// The same of a namespace, whose tasks are read again from their rows, in the order of their ids.
void leave_out_all(SlotNo ns);
// Tasks from an id on were not filed.
void leave_out_from(SlotNo ns, int64 id);
// Of a namespace that has left out tasks: is it worth to read them? The scheduler only, as begin_reading and end_reading.
bool wants_reading(SlotNo ns);
// Was the task, if it waits and has a group key, left out? No lock.
inline bool is_left_out(SlotNo queue, int64 id);
// Returns the id after which they are to be read.
int64 begin_reading(SlotNo ns);
// Files what was read: all waiting tasks with a group key after that id and up to `upto`, in order; INT64_MAX: there were no more.
void end_reading(SlotNo ns, int64 upto, std::span<const Hint> hints);
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

#include "memory/slab.hpp"

namespace pgqueue::dispatch {
inline Group &group(GroupNo no) { return *slab_entry<Group>(no); }
inline bool is_left_out(SlotNo queue, int64 id) { return queue >= 0 && id > map.namespaces[map.queues[queue].ns].groups_upto; }
inline uint64 key_of_group(GroupNo no) { return no != 0 ? group(no).key : 0; }
}  // namespace pgqueue::dispatch
