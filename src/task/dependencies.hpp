// Tasks begin to wait for other tasks or for a batch. What follows from an end is in task/settle_dependencies. Such a
// task has flag_waits in its row, and a hint only if it may expire. Each commit that matters posts to the scheduler,
// which clears the flag and hints the task. See docs/internals/workflows.md.
#pragma once
#include "memory/shared.hpp"
#include "store/catalog.hpp"
#include "store/dependencies.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "task/where.hpp"

namespace pgqueue::task {

// What the tasks of a call wait for and belong to.
struct Workflow {
    int32 namespace_id;
    std::span<const int64> awaited;  // not finished, or finished badly
    text *batch_key;                 // the batch whose members the tasks are, nullptr none
    text *awaits_batch;              // nullptr none
};

enum class DependencyEnd { Unfinished, Good, Bad, Unknown };
// Returns how a task has ended, as its dependents see it. namespace_id: the namespace it must be in, 0 any.
DependencyEnd end_of_dependency(int64 id, int32 namespace_id);

// Open edges of a namespace, how many more are free for all namespaces, and the namespace's limit.
struct EdgeShare {
    int64 used, free, limit;
};
// Returns the edges and the limit of a namespace. slot: its entry.
EdgeShare edge_share(const store::NamespaceInfo &ns, memory::SlotNo slot);

// Reserves `count` edges for this transaction. Raises 53400 if that exceeds the namespace's limit.
void ask_for_edges(const store::NamespaceInfo &ns, int64 count);

// Writes what new tasks wait for. The scheduler checks them after the commit.
void begin_waiting(const QueueRef &queue, const Workflow &workflow, std::span<const store::NewTask> tasks);

// Makes a task that is retried wait again for its tasks that are not finished. The others count as done. The caller has
// locked the row, and writes the flags that this changes. queue: where the task is retried. Raises 53400 as above.
void wait_again(const QueueRef &queue, store::TaskRow *row);

// Returns the queue, or nullptr if it was deleted. Shared memory learns of a deletion slightly before the catalog cache
// does.
const store::QueueInfo *live_queue(int32 id);
// Returns whether the task has no edges and waits for no batch, or only for one that has ended.
bool is_free(int32 namespace_id, int64 id);
// Removes an edge, and its counts at commit. Does nothing if there is no such edge.
void remove_edge(int32 namespace_id, int64 awaited, int64 task);
// Removes some edges of a task as remove_edge(). Returns how many.
int remove_edges(int32 namespace_id, int64 task);

// Returns when a task must be checked that is not ready before delayed_at: earlier if it expires before.
inline TimestampTz look_at(TimestampTz delayed_at, TimestampTz dies_at) {
    return dies_at != 0 && dies_at < delayed_at ? dies_at : delayed_at;
}

// Computes when the hint of a waiting task is due (0 at once). Returns false if it gets no hint. A task that waits for
// others gets a hint only for its expiry.
inline bool hint_time(int16 flags, TimestampTz delayed_at, TimestampTz dies_at, TimestampTz *due) {
    bool waits = (flags & flag_waits) != 0;
    *due = waits ? dies_at : look_at(delayed_at, dies_at);
    return !waits || dies_at != 0;
}

// Returns whether the row waits for other tasks.
inline bool waits_for_others(const store::TaskRow &row) {
    return is_waiting(row.status) && (row.flags & flag_waits) != 0;
}

}  // namespace pgqueue::task
