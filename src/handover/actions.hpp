// What a commit does in shared memory beside handing over tasks and counts. Remembered with the subtransaction;
// ROLLBACK TO forgets it.
#pragma once
#include "dispatch/apply.hpp"
#include "signal/cancel.hpp"

namespace pgqueue::handover {

// A waiting task ends, or leaves its group (by the hash of its key), without having been taken from there.
void leave_group_at_commit(SlotNo queue, uint64 key, int64 id);
void configure_namespace_at_commit(SlotNo db, const dispatch::NamespaceConfig &config);
void configure_queue_at_commit(SlotNo queue, const QueueSettings &settings);
void drop_queue_at_commit(SlotNo queue);
void drop_namespace_at_commit(SlotNo db, int32 ns_id);
// Cancels that attempt in the worker's process at commit.
void cancel_at_commit(SlotNo worker, const signal::Cancel &cancel);
// The queue is dropped in this transaction with all that runs of it.
void cancel_running_at_commit(SlotNo queue);
// Wakes those who wait for this task's result.
void finish_at_commit(int64 id);
// `count` more tasks (less, when negative) wait for this one.
void add_awaited_at_commit(int64 id, int32 count);
// The scheduler looks at what follows for this task, which ended or waits for others.
void settle_at_commit(int64 id);
// The database should (should not) be served from the commit on.
void serve_at_commit(Oid oid, bool wanted);
// Whether the data belongs to this database may have changed: workers stop until a scheduler has looked.
void check_identity_at_commit();
// A task that an outside worker holds is of another queue from the commit on; key: hash of its group key, 0 none.
void move_lease_at_commit(int64 id, SlotNo queue, uint64 key);
// Waiting tasks of a queue are in the wrong lists from the commit on (dispatch/refile.hpp).
void refile_at_commit(SlotNo queue);
// A ticker was written: the scheduler reads when it is due.
void read_ticker_at_commit(int32 id);
// Handlers of a namespace were changed: its tasks that are held may be other roles' from the commit on. ns -1: it has
// no entry.
void read_handlers_at_commit(SlotNo ns);

// For the transaction's callbacks (transaction.cpp). They neither allocate, raise nor wait.
bool any_actions();
bool were_actions();                        // since the transaction began, rolled back or not
void forget_actions(SubTransactionId sub);  // of all, when invalid
void hand_up_actions(SubTransactionId sub, SubTransactionId parent);
void run_actions(SlotNo db);  // of this database's entry, -1: it has none
// After the hand-over of tasks, which may bring what left its group back to another one.
void leave_groups();
// Whether the scheduler has something to do for them.
bool concern_scheduler();

}  // namespace pgqueue::handover
