// What ended workers held, and what a worker that is busy with a long task has not begun.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/ready.hpp"
#include "dispatch/running_file.hpp"
#include "dispatch/wake.hpp"
#include "pg/errcodes.hpp"
#include "pg/testpoint.hpp"
#include "store/catalog.hpp"
#include "task/lifecycle.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::Hold;
using dispatch::HoldState;
using dispatch::map;
using dispatch::WorkerSlot;
using dispatch::WorkerState;

struct Lost {
    Hold hold;
    HoldState was;
    bool cancelled;
    dispatch::EndedBy by;
};

// Puts one task back into its place: what had not begun is as if never taken, what ran is charged, what was cancelled is over.
void put_back(const Lost &l) {
    store::TaskRow row;
    if (store::lock_by_id(l.hold.ref.id, store::Wait::Skip, false, &row) != store::Locked::Yes) return;
    TimestampTz now = GetCurrentTimestamp();
    if (is_waiting(row.status)) {
        if (l.was == HoldState::Popped) task::hint_again(row);
        return;
    }
    bool mine = row.status == Status::Retained && row.epoch == map.shared->boot_epoch && row.receipt == l.hold.receipt;
    if (!mine) return;
    if (l.cancelled) {
        task::End end{};
        end.outcome = AttemptEnd::Cancelled;
        end.status = Status::Cancelled;
        end.error.sqlstate = ERRCODE_QUERY_CANCELED;
        end.error.message = "the task was cancelled and its worker terminated";
        end.cpu_seconds = -1;
        end.wal_bytes = end.row_count = -1;
        task::end_attempt(&row, end, now, store::Wait::Skip);
    } else if (l.was == HoldState::Running && l.by == dispatch::EndedBy::Order) {
        task::charge_terminated(&row, now);
    } else if (l.was == HoldState::Running && l.by == dispatch::EndedBy::Itself) {
        task::charge_crash(&row, err::worker_ended, "the worker process ended while the task ran", now);
    } else {
        task::give_back(&row, now);
    }
}

void release_hold(Hold *h) {
    dispatch::end_running(h->queue, 1);
    pg_atomic_write_u32(&h->state, static_cast<uint32>(HoldState::None));
}

void recover_ended(SlotNo no) {
    WorkerSlot &w = map.shared->workers[no];
    for (uint32 i = 0; i < pg_atomic_read_u32(&w.n_holds); i++) {
        Hold &h = w.holds[i];
        HoldState was = static_cast<HoldState>(pg_atomic_read_u32(&h.state));
        if (was == HoldState::None) continue;
        bool cancelled = static_cast<int64>(pg_atomic_read_u64(&w.cancel_id)) == h.ref.id && static_cast<int32>(pg_atomic_read_u32(&w.cancel_attempt)) == h.attempt;
        Lost lost{h, was, cancelled, static_cast<dispatch::EndedBy>(pg_atomic_read_u32(&w.ended_by))};
        if (!transact("give back the task of an ended worker", [&lost] {
                put_back(lost);
                PGQUEUE_TESTPOINT("scheduler-recovering");
            })) pg_atomic_write_u32(&my_db().lost, 1);
        release_hold(&h);
    }
    dispatch::clear_running(no);
    note_worker_gone(no);
}

// Takes back what the worker has claimed but not begun, while its present task goes on.
void take_back(WorkerSlot *w) {
    for (uint32 i = 0; i < pg_atomic_read_u32(&w->n_holds); i++) {
        Hold &h = w->holds[i];
        uint32 claimed = static_cast<uint32>(HoldState::Claimed);
        if (!pg_atomic_compare_exchange_u32(&h.state, &claimed, static_cast<uint32>(HoldState::Taken))) continue;
        Lost lost{h, HoldState::Claimed, false, dispatch::EndedBy::Itself};
        if (!transact("take back a task that has not begun", [&lost] { put_back(lost); })) pg_atomic_write_u32(&my_db().lost, 1);
        dispatch::end_running(h.queue, 1);
    }
}

// Charges one task that was executing when the server crashed. Its claim may be lost with the crash: it was committed without waiting for the
// disk; then the row looks as if nobody had begun that attempt.
void charge(const dispatch::RunningTask &t) {
    store::TaskRow row;
    if (store::lock_by_id(t.id, store::Wait::Skip, false, &row) != store::Locked::Yes) return;
    TimestampTz now = GetCurrentTimestamp();
    if (is_waiting(row.status) && row.attempt < t.attempt) {
        row.uncounted += t.attempt - row.attempt - 1;
        row.attempt = t.attempt;
        row.started_at = now;
    } else if (row.status != Status::Retained || row.attempt != t.attempt || row.epoch == map.shared->boot_epoch) {
        return;
    }
    task::charge_crash(&row, err::worker_ended, "the server crashed while the task ran", now);
}

}  // namespace

void charge_executed() {
    // On disk before it runs again, else a task that crashes the server at once would never be charged.
    int before = synchronous_commit;
    synchronous_commit = SYNCHRONOUS_COMMIT_LOCAL_FLUSH;
    dispatch::RunningTask t;
    for (int at = 0; dispatch::next_executed(MyDatabaseId, &at, &t);) transact("charge a task that ran when the server crashed", [&t] { charge(t); });
    synchronous_commit = before;
}

void recover_workers(TimestampTz) {
    for (SlotNo i = 0; i < dispatch::max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (w.db != self.db) continue;
        WorkerState state = static_cast<WorkerState>(pg_atomic_read_u32(&w.state));
        if (state == WorkerState::Ended) recover_ended(i);
        if (state == WorkerState::Busy && pg_atomic_exchange_u32(&w.giving_back, 0) != 0) take_back(&w);
    }
}

}  // namespace pgqueue::worker::scheduler
