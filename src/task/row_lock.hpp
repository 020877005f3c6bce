// Locks rows of tasks without losing their hints: a process that pops a hint while the row is locked drops the hint.
#pragma once
#include "store/rows_find.hpp"
#include "task/where.hpp"

namespace pgqueue::task {

// Locks the row of a task and reads it, as store::lock() and store::lock_by_id(). If the transaction fails before
// touch() or let_go(), the scheduler checks whether the task has lost its hint.
store::Locked lock_row(const TaskRef &ref, store::Wait wait, bool with_body, store::TaskRow *row);
store::Locked lock_row(int64 id, store::Wait wait, bool with_body, store::TaskRow *row);

// For a row that this transaction locks: hints a waiting task again if the transaction aborts.
void touch(const QueueRef &queue, const store::TaskRow &row);

// For a row that this transaction has locked and leaves unchanged. A process that met the lock has dropped the hint, so
// a waiting task is hinted again, at commit or abort.
void let_go(const QueueRef &queue, const store::TaskRow &row);

}  // namespace pgqueue::task
