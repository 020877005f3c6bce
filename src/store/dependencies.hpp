// What tasks wait for: edges to other tasks, and batches. Rows of a waiting task are written by its creator and changed by who holds the lock of the
// task's row: the scheduler, or retry_task.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

struct Ids {
    int64 *items;
    int count;
};

struct Batch {
    int32 namespace_id;
    text *key;  // nullptr none
};

// Edges from each task to each awaited one; edges that exist already stay.
void add_edges(std::span<const int64> tasks, std::span<const int64> awaited);
bool remove_edge(int64 awaited, int64 task);
// Removes the edges of a task; returns what it waited for.
Ids remove_edges(int64 task);
Ids dependents_of(int64 awaited);
Ids awaited_by(int64 task);
bool has_edges(int64 task);

void join_batch(std::span<const int64> tasks, const Batch &batch);
// The task is no member any more; returns the batch it was in (key nullptr: none).
Batch leave_batch(int64 task);
bool batch_is_over(const Batch &batch);
void wait_for_batch(std::span<const int64> tasks, const Batch &batch);
Batch awaited_batch(int64 task);
void stop_waiting_for_batch(int64 task);
Ids waiters_of(const Batch &batch);

// All ids that stand in one of the tables; and each awaited task with the number of its edges.
Ids everybody_involved();
void each_awaited(void (*fn)(int64 id, int32 count));

// What the archive says of a task: its namespace (0: it is not there), and whether it was released.
int32 archived_in(int64 id, bool *released);

}  // namespace pgqueue::store
