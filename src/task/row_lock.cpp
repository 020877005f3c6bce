#include "task/row_lock.hpp"

#include "handover/transaction.hpp"

namespace pgqueue::task {

store::Locked lock_row(const TaskRef &ref, store::Wait wait, bool with_body, store::TaskRow *row) {
    handover::begin_lock(ref.id);
    const store::Locked locked = store::lock(ref, wait, with_body, row);
    if (locked != store::Locked::Yes) handover::end_lock();
    return locked;
}

store::Locked lock_row(int64 id, store::Wait wait, bool with_body, store::TaskRow *row) {
    handover::begin_lock(id);
    const store::Locked locked = store::lock_by_id(id, wait, with_body, row);
    if (locked != store::Locked::Yes) handover::end_lock();
    return locked;
}

void touch(const QueueRef &queue, const store::TaskRow &row) {
    memory::Hint hint;
    if (is_waiting(row.status) && hint_of(queue, row, memory::Arrival::InPlace, &hint)) handover::hint_at_abort(hint);
    handover::end_lock();
}

void let_go(const QueueRef &queue, const store::TaskRow &row) {
    memory::Hint hint;
    if (is_waiting(row.status) && hint_of(queue, row, memory::Arrival::InPlace, &hint)) {
        handover::hint_at_abort(hint);
        handover::hint_at_commit(hint);
    }
    handover::end_lock();
}

}  // namespace pgqueue::task
