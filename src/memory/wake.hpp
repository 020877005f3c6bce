// Sets the latches of our processes and of waiting sessions. Nothing here raises.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::memory {

// Sets the latch of a process, given by its number; does nothing for -1.
void wake_procno(int procno);
// Wakes the launcher, if there is one.
void wake_launcher();
// Returns whether a launcher has ended and no other has run for so many microseconds.
bool launcher_missing(int64 micros);
// Wakes the scheduler of the database, or the launcher if it has none.
void wake_scheduler(SlotNo db);
// Makes the scheduler run its next turn at `when` at the latest.
void wake_scheduler_by(SlotNo db, pg::Deadline when);
// The same for a time of the wall clock; INT64_MAX: never.
void wake_scheduler_at(SlotNo db, TimestampTz when);
// Wakes the scheduler only if it sleeps and wants to know of new work.
void wake_scheduler_if_sleeping(SlotNo db);
// Wakes up to `count` idle workers of the role. Returns how many.
int wake_idle_workers(SlotNo db, SlotNo role, int count);
// Asks a worker to end after its task. Returns false if it was asked before.
bool ask_to_leave(WorkerSlot *w);
// Wakes all sessions that wait for the result of a task.
void wake_result_waiters(SlotNo db, int64 id);

}  // namespace pgqueue::memory
