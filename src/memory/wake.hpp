// Latches of our processes and of those who wait. Never raises.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::memory {

void wake_procno(int procno);
void wake_launcher();
// A launcher has ended, and for so many microseconds there was no other.
bool launcher_missing(int64 micros);
// The scheduler of the database, or the launcher when it has none.
void wake_scheduler(SlotNo db);
// So that it looks again then at the latest.
void wake_scheduler_by(SlotNo db, pg::Deadline when);
// The same with a time of the wall clock, INT64_MAX never.
void wake_scheduler_at(SlotNo db, TimestampTz when);
// Only when the scheduler has said that it wants to hear of new work.
void wake_scheduler_if_sleeping(SlotNo db);
// Up to `count` idle workers of the role; returns how many were woken.
int wake_idle_workers(SlotNo db, SlotNo role, int count);
// Asks a worker to end after its task; false when it was asked before.
bool ask_to_leave(WorkerSlot *w);
// Everybody who waits for the result of a task.
void wake_result_waiters(SlotNo db, int64 id);

}  // namespace pgqueue::memory
