// What a transaction does with tasks of outside workers, told to shared memory at its end: a retain that is rolled back gives the task back at
// once, a finished task frees its lease and its place under the limits with the commit.
#pragma once
#include "dispatch/lease.hpp"

namespace pgqueue::dispatch {

// Gives the lease, in an entry of this process that is not Held, and takes it back, with a hint, if the (sub)transaction aborts.
// key: hash of the task's group key, 0 none.
void note_retained(SlotNo entry, const LeaseRequest &lease, uint64 key);
// At commit the lease ends in memory, its place under the limits is free.
void note_lease_over(int64 id, int64 receipt);
// At commit the lease ends later.
void note_extended(int64 id, int64 receipt, const LeaseTime &time);

// A popped task is first in line again, when its place is still free. Does not raise.
void put_back(SlotNo queue, int32 priority, const TaskRef &ref, uint64 key, TimestampTz dies);

// For the transaction callbacks (xact.cpp). Neither raises.
void commit_holds(SlotNo db);
void abort_holds(SubTransactionId sub);  // invalid: all
void hand_up_holds(SubTransactionId sub, SubTransactionId parent);
bool any_holds();       // also entries that are not Held yet
bool has_noted_holds(); // since the transaction began, rolled back or not
void forget_holds();

// Wakes those who wait for a task of this queue, at most `count`.
void wake_task_waiters(SlotNo queue, int count);
// Does anybody wait for a task of this queue?
bool is_awaited_outside(SlotNo queue);
// Registers this process as waiter; nullptr: no place.
TaskWaiter *begin_wait(SlotNo ns, std::span<const SlotNo> queues);
void end_wait(TaskWaiter *waiter);
// Copies the entry with this number when somebody waits there for a task of the database; for those who look at all of them.
bool read_waiter(int no, SlotNo db, TaskWaiter *out);

}  // namespace pgqueue::dispatch
