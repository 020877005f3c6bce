// Locates a task in shared memory: the entry of its queue, its lane, its hint. Missing entries are created.
#pragma once
#include "dispatch/apply.hpp"
#include "dispatch/filing.hpp"
#include "memory/registry.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {

using memory::SlotNo;

// Returns this database's entry. -1: the library is not preloaded, or the table of databases is full.
SlotNo ensure_my_database();
// Returns the entry of a queue in this database, configured if it is new. -1 as above. Raises 53200 if a table is full.
SlotNo ensure_entry(const store::QueueInfo &queue);

// A queue that was looked up: its settings and its entry. Valid until the transaction ends.
struct QueueRef {
    const store::QueueInfo *info = nullptr;  // nullptr: the queue does not exist any more
    SlotNo slot = -1;                        // -1: no entry
};
// Returns the entry of the queue's namespace, -1 none.
inline SlotNo namespace_of(const QueueRef &queue) { return queue.slot < 0 ? -1 : memory::map.queues[queue.slot].ns; }
// Returns the queue with its entry.
QueueRef ref_of(const store::QueueInfo &queue);
// Looks up the queue of a row.
QueueRef queue_of(const store::TaskRow &row);

// Returns the lane for tasks of a queue: the lane of the role if the server runs them, else that of outside workers. -1
// if the queue has no entry. Raises 53200 if a table is full.
SlotNo ensure_lane_for(const QueueRef &queue, int32 role_id, bool in_server);
// Returns the lane for a row. In the server, this is the lane of the role whose workers run the task (task/route.hpp).
SlotNo ensure_lane_of(const QueueRef &queue, const store::TaskRow &row);

// Returns whether the server runs a task with these flags: its queue has executor server, the task is a command, or it
// calls a function of phase failed.
bool runs_in_server(const store::QueueInfo &queue, int16 flags);

// Builds the hint of a waiting task of the queue. Returns false if there is nowhere to file it.
bool hint_of(const QueueRef &queue, const store::TaskRow &row, memory::Arrival arrival, memory::Hint *hint);

// Files the task in the ready lists or the due heap at commit. Its row has status new or retry already. arrival: how it
// comes to its group.
void hint_again(const QueueRef &queue, const store::TaskRow &row, memory::Arrival arrival);

// The place that a task was taken from: the front of its list or of its group. Compute it inside a transaction, and use
// it after the commit.
struct Origin {
    bool known = false;
    memory::Hint hint{};
};
// Returns the place of a row.
Origin origin_of(const QueueRef &queue, const store::TaskRow &row);
// Files the task at its place, at once.
inline void return_to_front(const Origin &place) {
    if (place.known) dispatch::return_ready(place.hint);
}

}  // namespace pgqueue::task
