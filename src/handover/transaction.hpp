// What a transaction will tell shared memory when it commits: tasks that become ready or wait for their time, counts by
// status, and actions. Noted with the subtransaction; ROLLBACK TO forgets it. The callbacks neither allocate, raise nor
// wait: pages are reserved at PRE_COMMIT.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::handover {

void hint_at_commit(const Hint &hint);
// This transaction holds the row of a waiting task: if it aborts, the task is hinted again, because a worker may have
// skipped it.
void hint_at_abort(const Hint &hint);
// Begins the use of entries anew, so that those that were dropped meanwhile do not wait for this transaction. The
// caller holds no number of an entry. False: the transaction itself does.
bool let_drops_pass();
void register_xact_callbacks();

}  // namespace pgqueue::handover
