// What a transaction will tell shared memory when it commits: tasks that become ready or wait for their time, counts by status, and actions.
// Noted with the subtransaction; ROLLBACK TO forgets it. The callbacks neither allocate, raise nor wait: pages are reserved at PRE_COMMIT.
#pragma once
#include "dispatch/cancel.hpp"
#include "dispatch/registry.hpp"

namespace pgqueue::dispatch {

void note_task(const Hint &hint);
// This transaction holds the row of a waiting task: if it aborts, the task is hinted again, because a worker may have skipped it.
void note_touched(const Hint &hint);
// A waiting task ends, or leaves its group (by the hash of its key), without having been taken from there.
void note_left_group(SlotNo queue, uint64 key, int64 id);
// A row changed status (from -1: created, to -1: removed), or has no hint any more (to `unhinted`, from -1; and back). Edges: edges.hpp.
void note_count(SlotNo slot, int from, int to, int32 count);
// Applies a committed change of counts.
void apply_delta(const Delta &delta);
// Uncommitted change that this session has made to a count (for views).
int64 own_count(SlotNo queue, int status);

void note_namespace_config(SlotNo db, const NamespaceConfig &config);
void note_queue_config(SlotNo queue, const QueueConfig &config);
void note_queue_drop(SlotNo queue);
void note_namespace_drop(SlotNo db, int32 ns_id);
// Cancels that attempt in the worker's process at commit.
void note_cancel(SlotNo worker, const Cancel &cancel);
// Begins the use of entries anew, so that those that were dropped meanwhile do not wait for this transaction. The caller holds no number of an entry.
// False: the transaction itself does.
bool let_drops_pass();
// The queue is dropped in this transaction with all that runs of it.
void note_running_gone(SlotNo queue);
// Wakes those who wait for this task's result.
void note_finished(int64 id);
// `count` more tasks (less, when negative) wait for this one.
void note_awaited(int64 id, int32 count);
// The scheduler looks at what follows for this task, which ended or waits for others.
void note_settle(int64 id);
// The database should (should not) be served from the commit on.
void note_database(Oid oid, bool wanted);
// Whether the data belongs to this database may have changed: workers stop until a scheduler has looked.
void note_identity_change();
// A task that an outside worker holds is of another queue from the commit on; key: hash of its group key, 0 none.
void note_lease_moved(int64 id, SlotNo queue, uint64 key);
// Waiting tasks of a queue are in the wrong lists from the commit on (dispatch/refile.hpp).
void note_refile(SlotNo queue);
// A ticker was written: the scheduler reads when it is due.
void note_ticker(int32 id);
// Handlers of a namespace were changed: its tasks that are held may be other roles' from the commit on. ns -1: it has no entry.
void note_handlers(SlotNo ns);
// Something that workers were started or stopped for; wakes the scheduler.
void note_wake();

void register_xact_callbacks();

}  // namespace pgqueue::dispatch
