// A change of a task's state, said once: what the task was and what it is. What follows for shared memory is handed to
// the commit here and nowhere else: counts by status, the task's place in its group, who waits for its end, what health
// shows. A waiting task is hinted by the caller (task/where.hpp), who knows where in its group it belongs.
#pragma once
#include "task/where.hpp"

namespace pgqueue::task {

// How an attempt ends. Costs below 0 are not known.
struct End {
    AttemptEnd outcome = AttemptEnd::Released;
    Status status = Status::Released;  // new status of the task
    pg::ErrorReport error{};
    Jsonb *result = nullptr;
    const char *worker = nullptr, *role = nullptr;
    double cpu_seconds = -1;
    int64 wal_bytes = -1, row_count = -1;
    bool only_if_told = false;  // no outcome row when there is neither result nor error: the task's row says all
};

struct Transition {
    QueueRef from_queue, to_queue;    // as they were looked up for `from` and `to`
    const store::TaskRow *from, *to;  // to nullptr: the row is deleted
    const End *end = nullptr;         // of the attempt that ended with it
    bool popped = false;              // its waiting row was taken from its list and its group before
};
void announce(const Transition &t);

// So many tasks of a queue were inserted, waiting for the time to be hinted or not at all (unhinted).
void announce_created(const QueueRef &queue, int32 count, int32 unhinted);
// A finished task's row was archived, or removed after its retention.
void announce_removed(const store::TaskRow &row);

// A waiting task that was not popped has ended: it leaves its group.
void leave_group(const QueueRef &queue, const store::TaskRow &row);

}  // namespace pgqueue::task
