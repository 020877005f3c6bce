// Tasks with a group key come to their groups; those for which there is no memory, or which come behind them, stay in
// their rows, and the scheduler reads them in the order of their ids when there is room. docs/internals/groups.md.
// Functions with _locked are called under the lock of the namespace. None raises or waits.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Files a task in its group (or in the due heap, for its time), or leaves it out for want of memory.
void file_grouped(const Hint &hint);
void file_grouped_locked(const Hint &hint);

// Tasks from an id on were not filed.
void leave_out_from(SlotNo ns, int64 id);
// Of a namespace that has left out tasks: is it worth to read them? The scheduler only, as begin_reading and
// end_reading.
bool wants_reading(SlotNo ns);
// Was the task, if it waits and has a group key, left out? No lock.
inline bool is_left_out(SlotNo queue, int64 id) {
    return queue >= 0 && id > map.namespaces[map.queues[queue].ns].groups_upto;
}
// Returns the id after which they are to be read.
int64 begin_reading(SlotNo ns);
// Files what was read: all waiting tasks with a group key after that id and up to `upto`, in order; INT64_MAX: there
// were no more.
void end_reading(SlotNo ns, int64 upto, std::span<const Hint> hints);

// The rest is for the files that keep groups, under the namespace's lock.

// Files a hint, or leaves the task out for want of memory. wake: nobody else is told when the group becomes ready.
void file_in_group(const Hint &hint, bool wake);
// Has the scheduler look at the head when it may start, at `due` or after a wait; no entry is made twice for one head.
void set_timer(Group *g, TimestampTz due, Wait wait);

}  // namespace pgqueue::dispatch
