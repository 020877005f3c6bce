// A change of a task's state: what the task was and what it is. All effects on shared memory are handed to the commit
// here and nowhere else: counts by status, the task's place in its group, sessions and tasks that wait for its end,
// incidents for health. The caller hints a waiting task (task/where.hpp), because it knows where in its group the task
// belongs.
#pragma once
#include "store/rows.hpp"
#include "task/where.hpp"

namespace pgqueue::task {

// How an attempt ends.
struct End {
    AttemptEnd outcome = AttemptEnd::Released;
    Status status = Status::Released;  // new status of the task
    pg::ErrorReport error{};
    Jsonb *result = nullptr;
    const char *worker = nullptr, *role = nullptr;
    Costs costs{};
    ArrayType *messages = nullptr;  // text[]
    bool only_if_any = false;       // write no outcome row without error or large result: the task's row says all
    bool by_worker = true;          // the worker itself has ended it, not the scheduler for one that is gone
};

struct Transition {
    QueueRef from_queue, to_queue;    // the queues of `from` and `to`
    const store::TaskRow *from, *to;  // to nullptr: the row is deleted
    const End *end = nullptr;         // the attempt that ended, nullptr none
    TimestampTz at = 0;               // when the attempt or the task ended
    bool popped = false;              // its hint was popped: it has left its list and its group
    bool begins_later = false;        // it was retained, and may be given back before it begins
};
// Hands the effects of a transition to the commit.
void announce(const Transition &t);

// Hands the counts of inserted tasks to the commit: `count` tasks of a queue with so many bytes, of which `awaiting`
// wait for others.
void announce_created(const QueueRef &queue, int32 count, int32 awaiting, int64 bytes);
// Hands the count of a row to the commit that was archived, or removed after its retention.
void announce_removed(const QueueRef &queue, const store::TaskRow &row);

// Removes a waiting task that was not popped from its group at commit. Does nothing without a group.
void leave_group(const QueueRef &queue, const store::TaskRow &row);

}  // namespace pgqueue::task
