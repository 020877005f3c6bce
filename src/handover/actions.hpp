// Actions that a commit performs in shared memory, besides handing over tasks and counts. Each is stored with its
// subtransaction, and ROLLBACK TO discards it. Functions *_at_commit allocate in TopTransactionContext.
#pragma once
#include "dispatch/apply.hpp"
#include "signal/cancel.hpp"

namespace pgqueue::handover {

// A waiting task that was not popped ends, or leaves its group (given by the hash of its group key): removes it from
// the group at commit.
void leave_group_at_commit(SlotNo queue, uint64 key, int64 id);
// Copies new settings of a namespace or queue to shared memory at commit, or drops the entry there.
void configure_namespace_at_commit(SlotNo db, const dispatch::NamespaceConfig &config);
void configure_queue_at_commit(SlotNo queue, const QueueSettings &settings);
void drop_queue_at_commit(SlotNo queue);
void drop_namespace_at_commit(SlotNo db, int32 ns_id);
// Cancels an attempt at commit by a signal to the worker's process.
void cancel_at_commit(SlotNo worker, const signal::Cancel &cancel);
// Cancels all running tasks of a queue that this transaction drops, after all queues have been dropped.
void cancel_running_at_commit(SlotNo queue);
// Wakes the sessions that wait for this task's result, and posts the task to the scheduler if others wait for it. ns:
// its namespace, -1 its queue was deleted.
void finish_at_commit(SlotNo ns, int64 id);
// Adds `count` (negative: subtracts) to the number of tasks that wait for this one.
void add_awaited_at_commit(int64 id, int32 count);
// Posts the task, which has ended or waits for others, to the scheduler.
void settle_at_commit(SlotNo ns, int64 id);
// Starts, or (wanted false) stops, serving the database at commit.
void serve_at_commit(Oid oid, bool wanted);
// Makes the scheduler check at commit whether the data belongs to this database. Until then no task starts.
void check_identity_at_commit();
// Moves the lease of a task that an outside worker holds to another queue at commit. key: hash of its group key, 0
// none.
void move_lease_at_commit(int64 id, SlotNo queue, uint64 key);
// Marks a queue whose waiting tasks are in the wrong lists, so that the scheduler moves them (dispatch/refile.hpp).
void refile_at_commit(SlotNo queue);
// Posts a created or changed ticker to the scheduler, which reads when the ticker is due.
void read_ticker_at_commit(int32 id);
// Makes the scheduler read the changed handlers of a namespace, as its held tasks may now run as other roles. ns -1:
// the namespace has no entry.
void read_handlers_at_commit(SlotNo ns);

// Has the scheduler notify those who listen for failed tasks of the namespace of this queue.
void notify_failure_at_commit(SlotNo queue);

// For the callbacks of transactions (transaction.cpp). They allocate nothing, raise nothing and wait for nothing but
// short locks.
bool any_actions();
bool were_actions();                        // since the transaction began, even if rolled back
void forget_actions(SubTransactionId sub);  // invalid: all
void hand_up_actions(SubTransactionId sub, SubTransactionId parent);
void run_actions(SlotNo db);  // db: this database's entry; -1: it has none
// Removes tasks from groups for leave_group_at_commit(). Called after the hand-over of tasks, which may file them
// again.
void leave_groups();
// Returns whether an action gives the scheduler something to do.
bool concern_scheduler();

}  // namespace pgqueue::handover
