#include "worker/late_cancel.hpp"

#include "dispatch/lease.hpp"
#include "handover/actions.hpp"
#include "pg/guards.hpp"
#include "signal/cancel.hpp"
#include "store/rows_find.hpp"
#include "task/row_lock.hpp"
#include "task/transitions.hpp"
#include "worker/own_statements.hpp"
#include "worker/worker.hpp"

namespace pgqueue::worker::runner {
namespace {

void clear(int64 id, int32 attempt) {
    memory::WorkerSlot &w = my_slot();
    pg::LwLockGuard lock(memory::workers_lock());
    if (w.cancel_id.load() == id && w.cancel_attempt.load() == attempt) w.cancel_id.store(0);
}

void end_waiting(const task::QueueRef &queue, store::TaskRow *row, const char *reason) {
    pg::ErrorReport error;
    if (reason != nullptr) {
        error.sqlstate = ERRCODE_QUERY_CANCELED;
        error.message = reason;
    }
    task::end_waiting(queue, row, Status::Cancelled, error, GetCurrentTimestamp(), store::Wait::Block);
}

// Returns false if the row is locked, and if the request is for a task that this worker has claimed and not begun: it
// sees the request then.
bool cancel_row(int64 id, int32 attempt) {
    store::TaskRow row;
    const store::Locked locked = task::lock_row(id, store::Wait::Skip, false, &row);
    if (locked != store::Locked::Yes) return locked == store::Locked::Gone;
    const task::QueueRef queue = task::queue_of(row);
    const char *reason = signal::cancel_reason(my_slot(), id, attempt);
    if (queue.info != nullptr && is_waiting(row.status)) {
        end_waiting(queue, &row, reason);
        return true;
    }
    task::let_go(queue, row);
    if (row.status != Status::Retained) return true;
    const SlotNo worker = dispatch::worker_with(row.pid, id, row.receipt);
    if (worker == self.slot) return false;
    if (worker >= 0) handover::cancel_at_commit(worker, {id, row.attempt, false, reason});
    return true;
}

}  // namespace

void take_late_cancel() {
    const int64 id = my_slot().cancel_id.load();
    if (id == 0) return;
    const int32 attempt = my_slot().cancel_attempt.load();
    bool done = false;
    const pg::Outcome out = run_own_transaction([&] { done = cancel_row(id, attempt); }, self.task);
    if (out.ok && done) clear(id, attempt);
    MemoryContextReset(self.task);
}

void forget_cancel() { clear(my_slot().cancel_id.load(), my_slot().cancel_attempt.load()); }

}  // namespace pgqueue::worker::runner
