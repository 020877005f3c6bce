// What a change of a task's state adds to the statistics of its queue (memory/statistics.hpp).
#pragma once
#include "task/announce.hpp"

namespace pgqueue::task {

void add_to_statistics(const Transition &t);
void add_created_to_statistics(const QueueRef &queue, int32 count, int64 bytes);

// What counts when a claimed attempt begins: the entries of its queue, type and role (-1 none).
struct Start {
    SlotNo queue = -1;
    memory::StatNo type = -1, role = -1;
    TimestampTz waits_since = 0;
};
// Returns it for a task that waits. May make entries: needs a transaction.
Start start_of(const QueueRef &queue, const store::TaskRow &waiting);
// Counts a retain at once, in any transaction or none, because its claim has been committed. The queue's place must be
// held. retained: when the task was claimed.
void count_start(SlotNo db, const Start &start, TimestampTz retained);

}  // namespace pgqueue::task
