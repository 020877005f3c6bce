// Recovers tasks of ended workers, tasks that a worker busy with a long task has not begun, and tasks that ran when the
// server crashed.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/limits.hpp"
#include "memory/wake.hpp"
#include "pg/errcodes.hpp"
#include "pg/testpoint.hpp"
#include "signal/cancel.hpp"
#include "signal/crash_loop.hpp"
#include "signal/running_file.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/end_lease.hpp"
#include "task/row_lock.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::Hold;
using memory::HoldState;
using memory::map;
using memory::Owed;
using memory::WorkerSlot;
using memory::WorkerState;

// Returns what is owed to a task whose worker has ended. A task that had not begun is given back as if never taken. A
// task that ran is charged.
Owed owed_of(HoldState was, memory::EndedBy by) {
    if (was == HoldState::Popped) return Owed::PutBack;
    if (was != HoldState::Running || by == memory::EndedBy::Shutdown) return Owed::GiveBack;
    switch (by) {
        case memory::EndedBy::Order: return Owed::Terminated;
        case memory::EndedBy::Timeout: return Owed::TimedOut;
        case memory::EndedBy::RunLimit: return Owed::RunLimit;
        case memory::EndedBy::Expiry: return Owed::Expired;
        default: return Owed::Crash;
    }
}

bool was_cancelled(const WorkerSlot &w, const Hold &h) {
    return w.cancel_id.load() == h.ref.id && w.cancel_attempt.load() == h.attempt;
}

// Ends a task that was cancelled. The reason is in the slot, which stays until this is written. Returns false if it
// must be tried again.
bool write_cancelled(const WorkerSlot &w, const Hold &h) {
    bool looked = false;
    bool ok = transact("end a cancelled task of an ended worker", [&] {
        store::TaskRow row;
        store::Locked locked = task::lock_row(h.ref.id, store::Wait::Skip, false, &row);
        looked = locked != store::Locked::ByOther;
        if (locked != store::Locked::Yes) return;
        if (row.status != Status::Retained || row.receipt != h.receipt) {
            task::let_go(task::queue_of(row), row);
            return;
        }
        const char *reason = signal::cancel_reason(w, h.ref.id, h.attempt);
        const char *text = reason != nullptr ? reason : "the task was cancelled and its worker terminated";
        task::End end{.outcome = AttemptEnd::Cancelled,
                      .status = Status::Cancelled,
                      .error = {ERRCODE_QUERY_CANCELED, text, nullptr, nullptr, nullptr}};
        task::end_attempt(task::queue_of(row), &row, end, GetCurrentTimestamp(), store::Wait::Skip);
    });
    return ok && looked;
}

// Handles one hold of an ended worker. Returns false if it stays in the slot until a later try.
bool recover_hold(SlotNo no, Hold *h, int64 order) {
    WorkerSlot &w = map.shared->workers[no];
    HoldState was = h->state.load();
    if (was == HoldState::None || was == HoldState::Taken) return true;
    bool cancelled = was == HoldState::Running && was_cancelled(w, *h);
    Owed what = owed_of(was, w.ended_by.load());
    if (cancelled ? !write_cancelled(w, *h)
                  : !dispatch::owe({h->queue, h->group, h->ref, h->receipt, h->priority, h->attempt, what, order}))
        return false;
    h->state.store(HoldState::None);
    if (cancelled) dispatch::end_running(h->queue, h->group);
    if (what == Owed::Crash && !cancelled) signal::record_death(&map.roles[w.role].deaths);
    return true;
}

// Returns false if something is left.
bool recover_ended(SlotNo no) {
    WorkerSlot &w = map.shared->workers[no];
    bool done = true;
    for (int i = 0; i < w.n_holds.load(); i++) done = recover_hold(no, &w.holds[i], i) && done;
    if (!done) return false;
    signal::clear_running(no);
    note_worker_gone(no);
    return true;
}

// Takes back one task that the worker has claimed but not begun. A task whose row another transaction holds, or that
// the worker has begun by now, stays with the worker.
void take_back_one(const Hold &copy, Hold *h, bool *taken, task::Origin *place) {
    store::TaskRow row;
    // While we hold the row of a retained task, it cannot end. So its hold is not reused for another task.
    if (task::lock_row(copy.ref, store::Wait::Skip, false, &row) != store::Locked::Yes) return;
    if (row.status != Status::Retained || row.receipt != copy.receipt) {
        task::let_go(task::queue_of(row), row);
        return;
    }
    *taken = h->state.replace(HoldState::Claimed, HoldState::Taken);
    PGQUEUE_TESTPOINT("scheduler-taking-back");
    if (*taken) task::give_back(task::queue_of(row), &row, place);
}

// Returns whether another worker could run what this one gives back: its role has one, or a place for one. If not, its
// tasks stay where they are and so keep their order, and the request remains.
bool could_share(const WorkerSlot &w) {
    if (map.roles[w.role].workers.load() > 1) return true;
    return config::max_workers_per_role != 1 && map.shared->total_workers.load() < config::max_workers();
}

// Takes back what a worker has not begun while its present task runs. A task that was taken but could not be written is
// owed.
void take_back(WorkerSlot *w) {
    for (int i = w->n_holds.load(); i-- > 0;) {
        Hold &h = w->holds[i];
        if (h.state.load() != HoldState::Claimed) continue;
        const Hold copy = h;  // once taken, the worker may go on and reuse its holds
        bool taken = false;
        task::Origin place;
        bool ok = transact("take back a task that has not begun", [&] { take_back_one(copy, &h, &taken, &place); });
        if (!taken) continue;
        if (!ok && dispatch::owe({copy.queue, copy.group, copy.ref, copy.receipt, copy.priority, copy.attempt,
                                  Owed::GiveBack, 0}))
            continue;
        // Else the next check against the rows finds the task.
        if (ok) task::return_to_front(place);
        dispatch::end_running(copy.queue, copy.group);
    }
}

}  // namespace

void charge_executed() {
    // This must be on disk before the task runs again. Otherwise a task that crashes the server at once would never be
    // charged.
    int before = synchronous_commit;
    synchronous_commit = SYNCHRONOUS_COMMIT_LOCAL_FLUSH;
    signal::RunningTask t;
    for (int at = 0; signal::next_executed(MyDatabaseId, &at, &t);) {
        bool done = false;
        bool ok = transact("charge a task that ran when the server crashed",
                           [&] { done = task::charge_executed(t.id, t.attempt, GetCurrentTimestamp()); });
        if (ok && done) signal::forget_executed(MyDatabaseId, t.id);
    }
    synchronous_commit = before;
}

void owe_charges() {
    signal::RunningTask t;
    for (int at = 0; signal::next_executed(MyDatabaseId, &at, &t);) {
        SlotNo queue = -1;
        bool retained = false;
        bool ok = transact("look at a task that ran when the server crashed", [&] {
            store::TaskRow row;
            if (!store::find(t.id, false, &row)) return;
            retained =
                row.status == Status::Retained && row.attempt == t.attempt && row.epoch != map.shared->boot_epoch;
            if (is_waiting(row.status) && row.attempt < t.attempt) queue = task::queue_of(row).slot;
        });
        if (queue >= 0 && dispatch::owe({queue, 0, {t.id, InvalidBlockNumber, 0, 0}, 0, 0, t.attempt, Owed::Charge, 0}))
            dispatch::take_places(queue);
        else if (ok && !retained)
            signal::forget_executed(MyDatabaseId, t.id);
    }
}

pg::Deadline recover_workers(const pg::Moment &now) {
    constexpr int64 recheck_after = 20 * 1000;
    pg::Deadline next = never;
    for (SlotNo i = 0; i < memory::max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (w.db != self.db) continue;
        WorkerState state = w.state.load();
        if (state == WorkerState::Ended && !recover_ended(i)) next = now.in(recheck_after);
        if (state == WorkerState::Busy && w.giving_back.load() && could_share(w)) {
            w.giving_back.store(false);
            take_back(&w);
        }
    }
    return next;
}

}  // namespace pgqueue::worker::scheduler
