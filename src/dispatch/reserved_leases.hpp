// Entries of the table of leases that this process has and that are not Held yet: reserved entries, and entries of
// tasks that it has popped. Shared memory has them under the name of this process, so that they are given back however
// it ends: every abort calls return_unheld(), so every exit does.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

constexpr int most_unheld = 128;
// Reserves entries until this process has `count` of them, at most most_unheld. Returns all that it has; these are
// fewer if the table is nearly full. Takes no lock.
std::span<const SlotNo> reserve_leases(int count);
// Makes a reserved entry that of a popped task, whose place under the limits is taken. Takes no lock.
void mark_popped(SlotNo no, const TaskRef &ref, SlotNo queue, GroupNo group, int32 priority);
// Makes a popped entry a reserved one again, because its task is not to be had. Gives the place under the limits back.
// Takes the namespace lock where needed.
void drop_popped(SlotNo no);
// Returns whether this process has such entries.
bool any_unheld();
// Files popped tasks in front of the others of their priority, and frees all entries that this process has. Never
// raises an error. Takes the locks that it needs.
void return_unheld();
// Takes over such entries of a database whose processes are gone, so that return_unheld() gives them back. Returns how
// many; there should be none. Takes no lock.
int take_over_left(SlotNo db);
#ifdef PGQUEUE_TESTPOINTS
void leave_unheld();  // for tests: this process forgets its entries
#endif

// Removes an entry from those of this process, because it becomes Held. Only for dispatch/.
void forget_unheld(SlotNo no);

}  // namespace pgqueue::dispatch
