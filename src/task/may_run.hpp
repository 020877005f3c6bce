// Decides whether a task that was popped may run, for workers and outside sessions alike. Ends it or files it again if
// it may not.
#pragma once
#include "store/rows.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {

enum class Verdict {
    Run,
    Stale,    // the hint was stale: the task is not waiting in that queue and group, or another hint leads to it
    Expired,  // dies_at has passed
    Early     // delayed_at has not
};
// Judges by the task's row. queue_id, group: of the hint; group is the hash of its group key, 0 none. now: the wall
// clock.
Verdict judge(const store::TaskRow &row, int32 queue_id, uint64 group, TimestampTz now);
// Handles a task that may not run. Ends an expired task, unless another transaction holds its row. Files a task that
// came too early, due at its time.
void turn_away(Verdict verdict, const QueueRef &queue, store::TaskRow *row, TimestampTz now);
// Files a task that cannot run now, for a later try. Takes effect at once, not at commit.
void put_off(const QueueRef &queue, const store::TaskRow &row, memory::Wait wait);

}  // namespace pgqueue::task
