// The limits of queues, namespaces and groups: how many tasks may be held at once, and how many may start in a second.
// A held task takes a place under these limits and gives it back at its end.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// Takes a place in the queue and its namespace for a task that is held, as its row says. Takes no lock.
void take_places(SlotNo queue);
// Gives the place of a held task back, also in its group (0: it is in none), and unblocks lanes that waited for it.
// Takes the namespace lock where needed.
void end_running(SlotNo queue, GroupNo group);
// Places that are taken under the limits of a queue and of its groups.
struct PlacesLook {
    int32 running;
    int32 in_groups;
    bool operator==(const PlacesLook &) const = default;
};
// Reads them. Takes the namespace lock.
PlacesLook look_at_places(SlotNo queue);
// Gives back places that were seen, because no process has a task for them. Returns false, with nothing changed, if the
// number of running tasks is another one now. Takes the namespace lock.
bool forget_places(SlotNo queue, const PlacesLook &seen);
// Does the work of end_running() for many tasks.
void end_running_all(std::span<const LimitPlace> places);
// Gives the place of a popped task back that was not started; its tokens go back too. Takes the namespace lock where
// needed.
void unreserve(SlotNo queue, GroupNo group);
// Lets queues and groups run again whose token bucket has a token now. Returns when the next one has a token. Takes the
// locks of the namespaces. The scheduler only.
pg::Deadline end_throttles(SlotNo db, const pg::Moment &now);

// The functions below are only for dispatch/. The caller holds the namespace lock unless a comment says otherwise.

// Returns whether the queue is neither paused nor held back by a limit.
bool may_run(const Queue &q);
// Return whether there is room under max_running now. Take no lock.
bool has_room(const Namespace &ns);
bool has_room(const Queue &q);
// Return how many of `most` tasks may be taken. If 0, the queue or namespace is marked, and is checked again when that
// may have changed.
int32 room_of_namespace(Namespace *ns, int32 most);
int32 room_of_queue(Queue *q, int32 most);
// Takes places and tokens for n tasks in a queue and its namespace.
void reserve(Queue *q, Namespace *ns, int32 n);

}  // namespace pgqueue::dispatch
