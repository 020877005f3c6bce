// How many tasks of a queue and a namespace may be held at once, and how many may start a second: places under these
// limits are taken and given back.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

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
void end_running_all(std::span<const LimitPlace> places);
// The same for one that was popped and not started: its tokens go back too.
void unreserve(SlotNo queue, GroupNo group);
// Queues and groups whose token bucket has filled again may run; returns when the next one will. The scheduler only.
pg::Deadline end_throttles(SlotNo db, const pg::Moment &now);

// The rest is for dispatch/ only, under the namespace's lock unless said otherwise.

// Neither paused nor held back by a limit.
bool may_run(const Queue &q);
// Room under max_running now; no lock.
bool has_room(const Namespace &ns);
bool has_room(const Queue &q);
// How many of `most` tasks may be taken; 0: the queue or namespace is marked, and looked at again when that may have
// changed.
int32 room_of_namespace(Namespace *ns, int32 most);
int32 room_of_queue(Queue *q, int32 most);
// Takes places for n tasks.
void reserve(Queue *q, Namespace *ns, int32 n);

}  // namespace pgqueue::dispatch
