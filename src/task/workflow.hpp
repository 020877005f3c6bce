// Tasks that wait for other tasks or for a batch. A waiting one is `new` with flag_waits in its row and no hint; the
// scheduler, told at each commit that matters, clears the flag and hints it. docs/internals/workflows.md.
#pragma once
#include "memory/shared.hpp"
#include "store/catalog.hpp"
#include "store/dependencies.hpp"

namespace pgqueue::task {

// What the tasks of a call wait for and belong to.
struct Workflow {
    int32 namespace_id;
    std::span<const int64> awaited;  // not finished, or finished badly
    text *batch_key;                 // the tasks are members, nullptr none
    text *awaits_batch;              // nullptr none
};

enum class DependencyEnd { Unfinished, Good, Bad, Unknown };
// How a task has ended, as its dependents see it. namespace_id: in which it must be, 0 any.
DependencyEnd end_of_dependency(int64 id, int32 namespace_id);

// Open edges of a namespace, how many more are left for all, and its limit.
struct EdgeShare {
    int64 used, free, limit;
};
EdgeShare edge_share(const store::NamespaceInfo &ns, memory::SlotNo slot);

// Raises 53400 when so many edges more are not to be had by the namespace; else they are kept for this transaction.
void ask_for_edges(const store::NamespaceInfo &ns, int64 count);

// Writes what new tasks wait for; the scheduler looks at them after the commit.
void begin_waiting(const Workflow &workflow, std::span<const store::NewTask> tasks);

// A task that is retried (its row is locked): waits again for those of its tasks that are not finished; the others
// count as done. Sets the flags of the row, which the caller writes.
void wait_again(store::TaskRow *row);

// The queue unless it was deleted: who deletes it tells shared memory a moment before the cache of the catalog hears of
// it.
const store::QueueInfo *live_queue(int32 id);
// Has the task no edges, and is the batch over that it waits for?
bool is_free(int64 id);
void remove_edge(int64 awaited, int64 task);
// The commit tells memory of an edge that was removed.
void note_removed(int64 awaited, int32 namespace_id);

// When a task that is not ready before delayed_at is looked at: it may die before.
inline TimestampTz look_at(TimestampTz delayed_at, TimestampTz dies_at) {
    return dies_at != 0 && dies_at < delayed_at ? dies_at : delayed_at;
}

// Where the hint of a waiting task goes: due at *due (0 at once). False: nowhere. One that waits for others is looked
// at when it expires.
inline bool hint_time(int16 flags, TimestampTz delayed_at, TimestampTz dies_at, TimestampTz *due) {
    bool waits = (flags & flag_waits) != 0;
    *due = waits ? dies_at : look_at(delayed_at, dies_at);
    return !waits || dies_at != 0;
}

// Does the row wait without a hint?
inline bool is_unhinted(const store::TaskRow &row) {
    return is_waiting(row.status) && (row.flags & flag_waits) != 0 && row.dies_at == 0;
}

}  // namespace pgqueue::task
