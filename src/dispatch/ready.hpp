// Ready lists: what could run now, in which order, within which limits.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

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
void file_hint(const Hint &hint);
// A task that was popped and is ready is first in line again, when its place is still free. Without memory as
// file_hint.
void return_ready(const Hint &hint);
// The same for a task of outside workers, who are woken.
void put_back(SlotNo queue, int32 priority, const TaskRef &ref, uint64 key, TimestampTz dies);
// The lane of a queue for outside workers; -1 none.
SlotNo outside_lane(SlotNo queue);

// Pops up to `most` tasks of one queue for a worker of `role` in its database, best first: fair between namespaces,
// best priority inside, oldest inside that; reserves running counts of queue and namespace for each. Notes them in the
// worker's holds before the lock goes. Returns how many. 0: nothing that may run.
int pop_for_worker(SlotNo worker, int most);
// Pops tasks of some queues of a namespace (empty: of all) for an outside worker, best priority first, then oldest,
// into reserved entries (lease.hpp), as many as there are. Their running counts are reserved. Returns how many.
int pop_for_outside(SlotNo ns, std::span<const SlotNo> queues, std::span<const SlotNo> entries);
// Would pop_for_outside find something?
bool ready_for_outside(SlotNo ns, std::span<const SlotNo> queues);

// A ready task as its lists know it; group: key of its group, 0 none.
struct Ready {
    TaskRef ref;
    SlotNo queue;
    uint64 group;
};
// Ready tasks of a role for the scheduler itself, without limits or reservations: up to `most` of a list, which are
// popped, or the head of a group, which stays there until it is filed anew or leaves.
int pop_for_scheduler(SlotNo db, SlotNo role, Ready *out, int most);
// Tasks of the role that could run now (limits of single queues not counted).
int64 ready_for_role(SlotNo role);
// A task of the queue is held, as its row says: takes its place under the limits.
void take_places(SlotNo queue);
// Undoes the reservation of a task, also in its group (0: it is in none), and unblocks what waited for it.
void end_running(SlotNo queue, GroupNo group);
// Places that are taken under the limits of a queue and of its groups.
struct PlacesLook {
    int32 running;
    int32 in_groups;
    bool operator==(const PlacesLook &) const = default;
};
PlacesLook look_at_places(SlotNo queue);
// Gives those back that were seen and that nobody has. False: there are others by now.
bool forget_places(SlotNo queue, const PlacesLook &seen);
void end_running_all(std::span<const Place> places);
// The same for one that was popped and not started: its tokens go back too.
void unreserve(SlotNo queue, GroupNo group);
// Queues and groups whose token bucket has filled again may run; returns when the next one will. The scheduler only.
pg::Deadline end_throttles(SlotNo db, const pg::Moment &now);

// Re-examines which lanes of a queue (or of all queues of a namespace) may be active, after a change of limits or
// pause. Lock held.
void revise_queue_locked(SlotNo queue);
void revise_namespace_locked(SlotNo ns);

// Empties all ready lists of a database (rebuild).
void clear_ready(SlotNo db);

}  // namespace pgqueue::dispatch
