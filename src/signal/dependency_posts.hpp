// Counts how many tasks wait for each task, and posts tasks to the scheduler when their dependents may become ready. A
// commit that ends a task reads one counter to learn that no task waits for it. Otherwise it posts the task's id to the
// scheduler. Both are hints. Counters are shared by tasks with the same hash, so a count may be too high, but never too
// low. Each namespace has its own places for posts. If a post finds no place, the scheduler checks all waiting tasks of
// the namespace. No function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// Returns false if no task waits for this one. A result of true means that a task may wait for it.
bool may_be_awaited(SlotNo db, int64 id);
// Adds `count` (negative: subtracts) to the number of tasks that wait for this one. Called when their rows are
// committed.
void add_awaited(SlotNo db, int64 id, int32 count);

// Asks the scheduler to check one task of the namespace, which has ended or waits for others.
void post_settle(SlotNo ns, int64 id);
// Asks the scheduler to check every task of the namespace that waits for others.
void post_settle_namespace(SlotNo ns);
// Says whether a post wakes the scheduler. The scheduler itself posts with Quiet, because it reads its posts later
// anyway.
enum class Wake { Yes, Quiet };
// The same for all namespaces of the database, also those that were deleted.
void post_settle_all(SlotNo db, Wake wake = Wake::Yes);
// Asks the scheduler to check a task that may have lost its hint. Returns false if there is no place.
bool post_lost_hint(SlotNo db, int64 id);

// For the scheduler, the only process that takes posts.
// Returns whether anything was posted since the last begin_taking().
bool anything_posted(SlotNo db);
// The caller is about to take all posts of the database.
void begin_taking(SlotNo db);
struct Posted {
    int count;  // in `ids`
    bool all;   // all tasks that wait for others are to be checked
    int64 ids[settle_posts];
};
// Takes what was posted to a namespace. Returns false if that is nothing.
bool take_posted(SlotNo ns, Posted *posted);
// Takes the tasks that may have lost their hints; `all` concerns all namespaces.
bool take_lost_hints(SlotNo db, Posted *posted);

}  // namespace pgqueue::signal
