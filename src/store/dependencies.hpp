// What tasks wait for: edges to other tasks, and batches, in one namespace. The creator of a waiting task writes its
// rows. Later only the holder of the lock of the task's row changes them: the scheduler, or retry_task.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

struct Ids {
    int64 *items;
    int count;
};

// Functions that say "some" read or remove at most this many rows at a time. Fewer mean that there are no more.
constexpr int some_rows = 32;

// A batch: the tasks of a namespace with the same batch key.
struct Batch {
    int32 namespace_id;
    text *key;  // nullptr none
};

// Adds edges from each task to each awaited task, all in one namespace. Existing edges stay. Returns how many are new.
int64 add_edges(std::span<const int64> tasks, std::span<const int64> awaited, int32 namespace_id);
// Removes an edge. Returns whether there was one.
bool remove_edge(int32 namespace_id, int64 awaited, int64 task);
// Removes some edges of a task and calls fn for each. Returns how many.
int remove_edges(int32 namespace_id, int64 task, void (*fn)(int64 awaited));
// Return some tasks that wait for a task, and some that a task waits for: with ids above `after`, in ascending order.
Ids dependents_of(int32 namespace_id, int64 awaited, int64 after);
Ids awaited_by(int32 namespace_id, int64 task, int64 after);
// Returns all tasks that a task waits for, in ascending order.
Ids all_awaited_by(int32 namespace_id, int64 task);
// Returns whether the task waits for other tasks.
bool has_edges(int32 namespace_id, int64 task);

// Makes the tasks members of a batch.
void join_batch(std::span<const int64> tasks, const Batch &batch);
// Removes the task from its batch, and returns the batch (key nullptr: it was in none).
Batch leave_batch(int32 namespace_id, int64 task);
// Returns whether a batch has ended: it has no members any more.
bool batch_is_over(const Batch &batch);
// Makes the tasks wait for a batch.
void wait_for_batch(std::span<const int64> tasks, const Batch &batch);
// Returns the batch that a task waits for (key nullptr: none).
Batch awaited_batch(int32 namespace_id, int64 task);
// Makes a task wait for no batch.
void stop_waiting_for_batch(int32 namespace_id, int64 task);
// Returns some tasks that wait for a batch, with ids above `after`, in ascending order.
Ids waiters_of(const Batch &batch, int64 after);

// Returns some ids of a namespace from one of the tables, above `after`, in ascending order. Fewer than some_rows do
// not mean the end.
enum class Involved { Awaited, Dependent, Member, Waiter };
constexpr int involved_kinds = 4;
Ids involved_in(Involved kind, int32 namespace_id, int64 after);
// Returns the namespaces in the tables, also deleted ones. One may occur several times.
Ids involved_namespaces();

// Calls fn for each awaited task and namespace with the number of its edges, as seen by the active snapshot.
void each_awaited(void (*fn)(int64 awaited, int32 namespace_id, int32 count));

// Returns the namespace of an archived task (0: it is not in the archive), and whether it was released.
int32 archived_in(int64 id, bool *released);

}  // namespace pgqueue::store
