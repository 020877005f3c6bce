// Sessions that wait for a task (wait_for_task).
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Wakes those who wait for a task of this queue, at most `count`.
void wake_task_waiters(SlotNo queue, int count);
// Does anybody wait for a task of this queue?
bool is_awaited_outside(SlotNo queue);
// Registers this process as waiter; nullptr: no place.
TaskWaiter *begin_wait(SlotNo ns, std::span<const SlotNo> queues);
void end_wait(TaskWaiter *waiter);
// Copies the entry with this number when somebody waits there for a task of the database; for those who look at all of
// them.
bool read_waiter(int no, SlotNo db, TaskWaiter *out);

}  // namespace pgqueue::dispatch
