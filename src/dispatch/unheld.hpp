// Entries of the table of leases that this process has and that are not Held yet: reserved ones, and those of tasks
// that it has popped. They stand in shared memory under its name, so that they are given back however it ends: by
// return_unheld, which every abort calls, and so every exit.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

constexpr int most_unheld = 128;
// Reserves entries until this process has `count` of them, at most most_unheld; returns those it has.
std::span<const SlotNo> reserve_leases(int count);
// A reserved entry is for a task that was popped; its place under the limits is taken.
void mark_popped(SlotNo no, const TaskRef &ref, SlotNo queue, GroupNo group, int32 priority);
// The task of a popped entry is not to be had: its place under the limits is free again, the entry is reserved.
void drop_popped(SlotNo no);
bool any_unheld();
// Popped tasks are first in line again, entries free. Never raises.
void return_unheld();
// Takes over what processes that are gone have left of a database, so that return_unheld gives it back; returns how
// many. There should be none.
int take_over_left(SlotNo db);
#ifdef PGQUEUE_TESTPOINTS
void leave_unheld();  // this process forgets its entries
#endif

// The entry becomes Held: it is none of these any more. Inside dispatch/ only.
void forget_unheld(SlotNo no);

}  // namespace pgqueue::dispatch
