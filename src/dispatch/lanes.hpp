// The lists of ready tasks: what comes into them, and which of them may be taken from now. Functions with _locked are
// called under the lock of the namespace.
#pragma once
#include "memory/page_list.hpp"

namespace pgqueue::dispatch {

// Moves what committed transactions handed over into lists and heap; namespace's lock held (exclusive). Neither raises
// nor waits.
void drain_inbox_locked(SlotNo ns);
// The same, with the lock taken for a part at a time; or for one part only, which returns whether that was all.
void drain_inbox(SlotNo ns);
bool drain_some(SlotNo ns);
bool has_handed_over(SlotNo ns);
// Forgets it (rebuild).
void forget_handed_over(SlotNo ns);
// Drains every namespace of the database that has something, in turns. False: there is too much for once, the rest
// stays.
bool drain_inboxes(SlotNo db);
// Drains the namespaces in which the role may have tasks. A flood in another namespace does not hold its workers up.
void drain_for_role(SlotNo role);

// Goes on with lists of many priorities that are taken apart (dispatch/priorities.hpp), a part of it. Returns how many
// steps it came on. The scheduler only.
int take_lists_apart(SlotNo db);

// Files a task where it waits: in its lane, in the due heap, among those that were put off or in its group; takes the
// locks. Without memory the database is marked `lost`.
void enqueue(const Hint &hint);
// A task that was popped and is ready is first in line again, when its place is still free. Without memory as
// enqueue.
void return_ready(const Hint &hint);
// The same for a task of outside workers, who are woken.
void put_back(SlotNo queue, int32 priority, const TaskRef &ref, uint64 key, TimestampTz dies);
// The lane of a queue for outside workers; -1 none.
SlotNo outside_lane(SlotNo queue);

// Re-examines which lanes of a queue (or of all queues of a namespace) may be active, after a change of limits or
// pause. Lock held.
void revise_queue_locked(SlotNo queue);
void revise_namespace_locked(SlotNo ns);
// Empties all ready lists of a database (rebuild).
void clear_ready(SlotNo db);

// The rest is for dispatch/ only.

// A lane is active while it has tasks and its queue is neither paused nor without room.
void activate_locked(SlotNo lane);
void deactivate_locked(SlotNo lane);
// The number of tasks in a lane has changed.
void change_count_locked(SlotNo lane, int64 by);
// Empties the lists of a queue. The scheduler only, which is at work on none of them.
void empty_lists_locked(const Queue &queue);

}  // namespace pgqueue::dispatch
