// Who waits for tasks to end. A commit that ends a task finds here at the price of one read that nobody waits for it;
// otherwise it posts the task's id to the scheduler. Both are hints: cells are shared, so a count may be too high,
// never too low, and posts that do not fit have the scheduler look at all that wait.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// May somebody wait for this task?
bool may_be_awaited(SlotNo db, int64 id);
// `count` more (or less) wait for it. Called when their rows are committed.
void add_awaited(SlotNo db, int64 id, int32 count);

// Asks the scheduler to look at a task that has ended, or that waits for others; or at all.
// Quiet: the scheduler's own, which looks again later.
enum class Wake { Yes, Quiet };
void post_settle(SlotNo db, int64 id, Wake wake = Wake::Yes);
void post_settle_all(SlotNo db, Wake wake = Wake::Yes);
// Scheduler: takes what was posted; `most` must be settle_posts.
int take_posted(SlotNo db, int64 *ids);
bool take_posted_all(SlotNo db);
bool anything_posted(SlotNo db);

}  // namespace pgqueue::signal
