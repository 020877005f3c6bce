// Adds tasks with a group key to their groups. A task for which there is no room, and each task behind it, stays in its
// row. The scheduler reads these rows in the order of their ids when there is room (docs/internals/groups.md). The
// caller of a function with _locked holds the namespace lock. No function raises an error, or waits except for a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Files a task in its group, or in the due heap if it waits outside its group. Leaves the task out if there is no room.
// file_grouped takes the namespace lock, files the inbox first unless the task goes to the front, and wakes a worker or
// a session if the group becomes ready.
void file_grouped(const Hint &hint);
void file_grouped_locked(const Hint &hint);

// Records that tasks with a group key from this id on were not filed, so that the scheduler reads them. Wakes the
// scheduler. Takes the namespace lock.
void leave_out_from(SlotNo ns, int64 id);
// Returns whether tasks of the namespace were left out and there is room to read some. Takes the namespace lock if
// there was no room before. The scheduler only, as are begin_reading() and end_reading().
bool wants_reading(SlotNo ns);
// Returns whether the task, if it waits and has a group key, was left out. queue -1: false. Takes no lock.
inline bool is_left_out(SlotNo queue, int64 id) {
    return queue >= 0 && id > map.namespaces[map.queues[queue].ns].groups_upto;
}
// Begins to read tasks that were left out. Files the inbox. Returns the id after which they begin. Takes the namespace
// lock.
int64 begin_reading(SlotNo ns);
// Files the tasks that were read: all waiting tasks with a group key after that id and up to `upto`, in the order of
// their ids. upto INT64_MAX: there were no more. Takes the namespace lock.
void end_reading(SlotNo ns, int64 upto, std::span<const Hint> hints);

// The functions below are only for the files that keep groups. The caller holds the namespace lock.

// Files a hint in its group, or leaves the task out if there is no room. wake: wakes a worker or a session if the group
// becomes ready.
void file_in_group(const Hint &hint, bool wake);
// Makes the scheduler read the row of the head when the head may start: at `due`, or after the wait. Does nothing if
// the head has such an entry already.
void set_timer(Group *g, TimestampTz due, Wait wait);

}  // namespace pgqueue::dispatch
