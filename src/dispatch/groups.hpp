// Groups: tasks with a group key, in strict order (docs/internals/groups.md). The caller of a function with _locked
// holds the namespace lock. No function raises an error, or waits except for a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Returns the best ready group of a lane; 0: none, or the rows are being read again.
GroupNo best_group_locked(SlotNo lane);
// The head of a group, as take_head_locked() returns it.
struct GroupTask {
    TaskRef ref;
    int32 priority;
};
// Takes the head of a ready group. run: the task is going to be held, which takes a token of the group and, until
// end_group(), a place in it.
GroupTask take_head_locked(GroupNo no, bool run);

// Gives the place of a held task in its group back. unused: the task was not started, so its token goes back too. Files
// the inbox of the namespace first. Takes the namespace lock.
void end_group(SlotNo queue, GroupNo no, bool unused);
// Gives back the places of many tasks that were started. Skips places without a group. Takes the namespace lock once
// for consecutive places of a namespace.
void end_groups(std::span<const LimitPlace> places);
// Sets the number of held tasks to 0 in all groups of a queue.
void forget_running_locked(SlotNo queue);
// Removes a waiting task that has left its group without having been taken, if it is the head. key 0: not known, so all
// groups of the queue are searched. Files the inbox of the namespace first. Takes the namespace lock.
void leave_group(SlotNo queue, uint64 key, int64 id);
// Takes a place in the group of a task that is held, as its row says. Creates the group if needed. Returns 0 if there
// is no memory; then the rows are read again. Takes the namespace lock.
GroupNo hold_in_group(SlotNo queue, uint64 key);

// The functions below are only for the files that keep groups. The caller holds the namespace lock.

// Removes a group from the order that it is in, if any.
void make_unready(GroupNo no);
// Updates a group after a change: decides whether it is ready, and in which lane. Frees a group without tasks. wake:
// wakes a worker or a session if the group becomes ready.
void update_readiness(GroupNo no, bool wake);
// Removes the waiting tasks of a group. Frees the group unless one of its tasks is held.
void clear_group(GroupNo no);
// Frees a group that has no waiting and no held task, unless its token bucket is not full.
void free_when_empty(GroupNo no);

}  // namespace pgqueue::dispatch
