// Where a task stands in shared memory: the entry of its queue, its lane, its hint. Entries are made when they are
// missing.
#pragma once
#include "dispatch/apply.hpp"
#include "dispatch/lanes.hpp"
#include "memory/registry.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {

using memory::SlotNo;

// This database's entry; -1 while shared memory is not there or the database is not served at all.
SlotNo database_slot();
// The dispatcher's entry of a queue in this database, configured when it was new; -1 as above.
SlotNo slot_of(const store::QueueInfo &queue);

// A queue that was looked up: its settings and its entry. Valid until the transaction ends.
struct QueueRef {
    const store::QueueInfo *info = nullptr;  // nullptr: there is no such queue any more
    SlotNo slot = -1;                        // -1: it has no entry
};
QueueRef ref_of(const store::QueueInfo &queue);
QueueRef queue_of(int32 queue_id);

// The lane for tasks of a queue: of the role when the server runs them, else of outside workers. -1 as above.
SlotNo lane_of(const QueueRef &queue, int32 role_id, bool in_server);
// The lane for a row: in the server, that of the role whose workers run it (task/route.hpp).
SlotNo lane_of_row(const QueueRef &queue, const store::TaskRow &row);

bool runs_in_server(const store::QueueInfo &queue, int16 flags);

// Where a waiting task of the queue is to be filed. False: nowhere.
bool hint_of(const QueueRef &queue, const store::TaskRow &row, memory::Comes comes, memory::Hint *hint);

// The row goes back to the ready lists or the due heap at commit; status is new or retry already. comes: to its group.
void hint_again(const QueueRef &queue, const store::TaskRow &row, memory::Comes comes);
inline void hint_again(const store::TaskRow &row, memory::Comes comes) {
    hint_again(queue_of(row.queue_id), row, comes);
}

// The caller holds the lock of this row: should its transaction abort, a waiting task is hinted again.
void touch(const store::TaskRow &row);

// The caller has locked this row and leaves it as it is: who met the lock has dropped its hint, so a waiting task is
// hinted again.
void let_go(const store::TaskRow &row);

// The place that a task was taken from: it is the first of its list again, or of its group. Found inside a transaction,
// taken after the commit.
struct Place {
    bool known = false;
    memory::Hint hint{};
};
Place place_of(const QueueRef &queue, const store::TaskRow &row);
inline void take_place(const Place &place) {
    if (place.known) dispatch::return_ready(place.hint);
}

}  // namespace pgqueue::task
