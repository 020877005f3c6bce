// What a transaction changes in shared memory when it commits: tasks that become ready or wait for their time, counts
// by status, and actions. Each is stored with its subtransaction, and ROLLBACK TO discards it. The callbacks after the
// commit allocate nothing and raise nothing: pages are reserved at PRE_COMMIT.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::handover {

// Files the task at commit.
void hint_at_commit(const Hint &hint);
// Files a waiting task again if this transaction aborts. Needed when the transaction holds the task's row, because a
// worker may have popped the hint and skipped the row.
void hint_at_abort(const Hint &hint);
// Before the row of a task is locked: if the transaction aborts before end_lock() or the next begin_lock(), the
// scheduler checks whether the task has lost its hint. The caller does not know yet how to hint it.
void begin_lock(int64 id);
// The row is not locked, or hint_at_abort() has been called if the task needs it.
void end_lock();
// Begins the use of entries anew, so that entries dropped meanwhile need not wait for this transaction. The caller must
// hold no number of an entry. Returns false if nothing was in use, or if the transaction itself uses entries.
bool let_drops_pass();
// Registers the callbacks of transactions, subtransactions and resource owners. Called once per process.
void register_xact_callbacks();

}  // namespace pgqueue::handover
