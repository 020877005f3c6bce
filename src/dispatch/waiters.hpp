// Sessions that wait for a task (wait_for_task). No function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Wakes up to `count` sessions that wait for a task of this queue.
void wake_task_waiters(SlotNo queue, int count);
// Wakes the sessions of the database that wait, if tasks are ready for them.
void wake_ready_waiters(SlotNo db);
// Returns whether a session waits for a task of this queue.
bool is_awaited_outside(SlotNo queue);
// Returns how many sessions wait for a task of this queue.
int count_waiting(SlotNo queue);
// Registers this process as a waiter for tasks of these queues (empty: of any queue of the namespace). Returns nullptr
// if no place is free.
TaskWaiter *begin_wait(SlotNo ns, std::span<const SlotNo> queues);
// Ends the registration.
void end_wait(TaskWaiter *waiter);
// Copies the entry with this number if a session waits there for a task of the database, and returns whether it does.
// For callers that read all entries.
bool read_waiter(int no, SlotNo db, TaskWaiter *out);

}  // namespace pgqueue::dispatch
