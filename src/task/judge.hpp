// Whether a task that was popped may run, for workers and outside sessions alike.
#pragma once
#include "task/lifecycle.hpp"

namespace pgqueue::task {

enum class Verdict {
    Run,
    Stale,    // the hint was: the task is not waiting in that queue and group, or another hint leads to it
    Expired,  // dies_at has passed
    Early     // delayed_at has not
};
// group: the key that the hint had, 0 none.
Verdict judge(const store::TaskRow &row, int32 queue_id, uint64 group, TimestampTz now);
// Ends a task that has expired, unless somebody else has its row; files one that came early for its time.
void turn_away(Verdict verdict, const store::QueueInfo &queue, store::TaskRow *row, TimestampTz now);
// Files a task that cannot be had now for a moment later, at once.
void put_off(const store::TaskRow &row, memory::Wait wait);

}  // namespace pgqueue::task
