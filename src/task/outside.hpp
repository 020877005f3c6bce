// Tasks in the hands of outside workers: taken with a lease, ended by whoever has the receipt.
#pragma once
#include "task/ending.hpp"
#include "task/lifecycle.hpp"

namespace pgqueue::task {

struct TakeRequest {
    SlotNo ns;
    std::span<const SlotNo> queues;  // empty: any of the namespace
    const char *worker;
    int64 receipt;
    int64 lease;  // microseconds, -1 the queue's, 0 none (bound to the session)
    bool session_bound;
};
// Takes up to `most` tasks; rows with their bodies, in the current memory context. Returns how many.
int take(const TakeRequest &request, store::TaskRow *out, int most);

// The row of a task that the receipt holds, locked (waits for the lock). Otherwise says why not; a row with another
// receipt is read and not locked.
enum class Held { Yes, Lost, Cancelled, Unknown };
Held hold(int64 id, int64 receipt, store::TaskRow *row);
// The same without the lock, as long as nobody else is at the task; false says nothing.
bool look_at_held(int64 id, int64 receipt, store::TaskRow *row);

// Ends of an attempt; row comes from hold(). All note the end of the lease for the commit.
// A row from look_at_held() is released with Wait::Skip; false: it was in somebody's hands, and nothing is changed.
bool release(store::TaskRow *row, Jsonb *result, store::Wait wait);
// Held outside: the holder is told of a cancel at its next call.
void end_held(store::TaskRow *row, const Ending &ending);
// The lease ends at `until` (not after dies_at); returns when.
TimestampTz extend(store::TaskRow *row, int64 lease);

}  // namespace pgqueue::task
