// What tasks wait for: edges to other tasks, and batches. Rows of a waiting task are written by its creator and changed
// by who holds the lock of the task's row: the scheduler, or retry_task.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

struct Ids {
    int64 *items;
    int count;
};

// So many rows are read or removed at a time by the functions that say so; fewer: there are no more.
constexpr int some_rows = 32;

struct Batch {
    int32 namespace_id;
    text *key;  // nullptr none
};

// Edges from each task to each awaited one, all of one namespace; edges that exist already stay. Returns how many are
// new.
int64 add_edges(std::span<const int64> tasks, std::span<const int64> awaited, int32 namespace_id);
// Returns the edge's namespace, 0: it was not there.
int32 remove_edge(int64 awaited, int64 task);
// Removes some edges of a task: fn(awaited, namespace). Returns how many.
int remove_edges(int64 task, void (*fn)(int64 awaited, int32 namespace_id));
// Some that wait for a task, and some that a task waits for, after an id and in order.
Ids dependents_of(int64 awaited, int64 after);
Ids awaited_by(int64 task, int64 after);
// All of them.
Ids all_awaited_by(int64 task);
bool has_edges(int64 task);

void join_batch(std::span<const int64> tasks, const Batch &batch);
// The task is no member any more; returns the batch it was in (key nullptr: none).
Batch leave_batch(int64 task);
bool batch_is_over(const Batch &batch);
void wait_for_batch(std::span<const int64> tasks, const Batch &batch);
Batch awaited_batch(int64 task);
void stop_waiting_for_batch(int64 task);
// Some of those that wait for a batch, after an id and in order.
Ids waiters_of(const Batch &batch, int64 after);

// Some ids that stand in one of the tables, after an id and in order; fewer than some_rows do not mean the end.
enum class Involved { Awaited, Dependent, Member, Waiter };
constexpr int involved_kinds = 4;
Ids involved_in(Involved kind, int64 after);

// Each awaited task and namespace with the number of its edges, under the active snapshot.
void each_awaited(void (*fn)(int64 awaited, int32 namespace_id, int32 count));

// What the archive says of a task: its namespace (0: it is not there), and whether it was released.
int32 archived_in(int64 id, bool *released);

}  // namespace pgqueue::store
