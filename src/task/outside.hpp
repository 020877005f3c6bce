// Tasks that outside workers hold: taken with a lease, ended by a call with the receipt.
#pragma once
#include "store/rows.hpp"
#include "task/requested_end.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {

// What a session takes: from which queues, and with which lease.
struct TakeRequest {
    SlotNo ns;
    std::span<const SlotNo> queues;  // empty: any of the namespace
    const char *worker;
    int64 receipt;
    int64 lease;  // microseconds, -1 the queue's, 0 none (bound to the session)
    bool session_bound;
};
// Takes up to `most` tasks and returns how many. `out` gets their rows with bodies, in the current memory context.
int take(const TakeRequest &request, store::TaskRow *out, int most);

// Locks the row of a task that the receipt holds; waits for the lock. Otherwise says why the receipt does not hold it:
// Lost, Cancelled, or Unknown (no such row). A row with another receipt is read, but not locked.
enum class LeaseCheck { Yes, Lost, Cancelled, Unknown };
LeaseCheck hold(int64 id, int64 receipt, store::TaskRow *row);
// Reads the row of a task that the receipt holds, without locking it. False means "not known", not "not held".
bool look_at_held(int64 id, int64 receipt, store::TaskRow *row);

// Releases a task. The row comes from hold(), or with Wait::Skip from look_at_held(). Returns false, with nothing
// changed, if another transaction holds the row. The lease ends at commit.
bool release(const QueueRef &queue, store::TaskRow *row, Jsonb *result, store::Wait wait);
// Ends an attempt as requested. The row comes from hold(). The lease ends at commit.
void end_held(const QueueRef &queue, store::TaskRow *row, const Ending &ending);
// Extends the lease by `lease` microseconds from now (0 or below: by the queue's lease), but not beyond dies_at.
// Returns when it ends, 0: with its session.
TimestampTz extend(const QueueRef &queue, store::TaskRow *row, int64 lease);

}  // namespace pgqueue::task
