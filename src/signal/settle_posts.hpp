// Counts how many tasks wait for each task, and posts tasks to the scheduler when their dependents may become ready. A
// commit that ends a task reads one counter to learn that no task waits for it. Otherwise it posts the task's id to the
// scheduler. Both are hints. Counters are shared by tasks with the same hash, so a count may be too high, but never too
// low. If a post finds no place, the scheduler checks all waiting tasks. No function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// Returns false if no task waits for this one. A result of true means that a task may wait for it.
bool may_be_awaited(SlotNo db, int64 id);
// Adds `count` (negative: subtracts) to the number of tasks that wait for this one. Called when their rows are
// committed.
void add_awaited(SlotNo db, int64 id, int32 count);

// Says whether a post wakes the scheduler. The scheduler itself posts with Quiet, because it reads its posts later
// anyway.
enum class Wake { Yes, Quiet };
// Asks the scheduler to check one task, which has ended, waits for others, or may have lost its hint. Returns false if
// the task found no place, so that all tasks that wait for others are checked.
bool post_settle(SlotNo db, int64 id, Wake wake = Wake::Yes);
// Asks the scheduler to check every task that waits for others.
void post_settle_all(SlotNo db, Wake wake = Wake::Yes);
// Removes all posted ids and copies them to `ids`, which must have room for settle_posts. Returns how many. Only the
// scheduler calls it.
int take_posted(SlotNo db, int64 *ids);
// Returns whether all waiting tasks are to be checked, and clears that mark. Only the scheduler calls it.
bool take_posted_all(SlotNo db);
// Returns whether anything was posted since the last take_posted().
bool anything_posted(SlotNo db);

}  // namespace pgqueue::signal
