// Files tasks where they wait: in a lane, in the due heap, in a list of put-off tasks, or in a group. Tasks come one by
// one, or in pages that committed transactions handed over.
#pragma once
#include "memory/page_list.hpp"

namespace pgqueue::dispatch {

// How much memory filing leaves to others.
enum class Leave { Some, Nothing };
// What was filed of the pages of a namespace. NoRoom: the others wait until the scheduler has made room.
enum class Filed { All, Some, NoRoom };

// Files the tasks with a group key that committed transactions handed over. The namespace lock is held in exclusive
// mode. Raises no error, and waits only for the due lock and the locks of the hash of groups.
void drain_groups_locked(SlotNo ns);
// Does the same, and removes tasks of dropped queues from what was handed over and is not filed yet. Returns whether
// nothing of it is left.
bool forget_dropped_locked(SlotNo ns);
// Files the pages that committed transactions handed over in lists, groups and the due heap, while there is room.
// Releases the namespace lock after each part of them. Takes the namespace lock.
void drain_inbox(SlotNo ns);
// Files one part of these pages. Takes the namespace lock.
Filed drain_some(SlotNo ns, Leave leave = Leave::Some);
// Returns whether the namespace has such pages. Takes no lock.
bool has_handed_over(SlotNo ns);
// Frees these pages without filing their tasks, for a rebuild. Takes the namespace lock.
void forget_handed_over(SlotNo ns);
// Files these pages of all namespaces of the database, in turns. Returns false if there are too many for one call, or
// if there is no room; the rest stays. Takes the locks of the namespaces.
bool drain_inboxes(SlotNo db, Leave leave = Leave::Some);
// Files these pages of the namespaces in which the role may have tasks. A flood in another namespace does not delay its
// workers. Takes the locks of the namespaces.
void drain_for_role(SlotNo role);

// Files a task where it waits: in its lane, in the due heap, in a list of put-off tasks, or in its group. Marks the
// database as `lost` if there is no memory. Takes the locks that it needs.
void enqueue(const Hint &hint);
// Files a popped task that is ready in front of the others of its priority, or in its group. Marks the database as
// `lost` if there is no memory. Takes the locks that it needs.
void return_ready(const Hint &hint);
// Does the same for a task of outside workers, and wakes a waiting session and the scheduler. key: hash of its group
// key, 0 none. dies: its dies_at, 0 never. Does nothing if no scheduler serves the database, or if the queue has no
// lane for outside workers.
void put_back(SlotNo queue, int32 priority, const TaskRef &ref, uint64 key, TimestampTz dies);

}  // namespace pgqueue::dispatch
