// Groups: tasks with a group key, in strict order. docs/internals/groups.md. Functions with _locked are called under
// the lock of the namespace. None raises or waits.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// The best ready group of a lane, 0 none; its rank and the id of its head.
GroupNo best_group_locked(SlotNo lane);
// Takes the head of a ready group; `run`: it is going to be held, which reserves a place in the group until end_group.
struct GroupTask {
    TaskRef ref;
    int32 priority;
};
GroupTask take_head_locked(GroupNo no, bool run);

// A held task of the group has ended; `unused`: it was not started, its token goes back. Files what the namespace's
// inbox has first.
void end_group(SlotNo queue, GroupNo no, bool unused);
// The same for many that were started, with the lock of their namespace taken once.
void end_groups(std::span<const LimitPlace> places);
// Nobody has a task of the groups of this queue.
void forget_running_locked(SlotNo queue);
// A waiting task has left its group without having been taken from it.
void leave_group(SlotNo queue, uint64 key, int64 id);
// A task of this key is held, as its row says (rebuild). 0: no memory.
GroupNo hold_in_group(SlotNo queue, uint64 key);

// The rest is for the files that keep groups, under the namespace's lock.

// Takes a group out of the order that it is in.
void make_unready(GroupNo no);
// After any change: is the group ready, and where? A group without tasks goes.
void update_readiness(GroupNo no, bool wake);
// Forgets the waiting tasks of a group.
void clear_group(GroupNo no);
// No waiting task and no running one: the group goes, unless its bucket has to be remembered.
void free_when_empty(GroupNo no);

}  // namespace pgqueue::dispatch
