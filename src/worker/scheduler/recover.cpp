// What ended workers held, and what a worker that is busy with a long task has not begun.
#include "worker/scheduler/scheduler.hpp"

#include "config/settings.hpp"
#include "dispatch/cancel.hpp"
#include "dispatch/incidents.hpp"
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
    SlotNo worker;
    Hold hold;
    HoldState was;
    bool cancelled;
    const char *reason;  // of the cancel, nullptr none
    dispatch::EndedBy by;
    bool in_use;  // out: somebody has the row in hands, look again later
    task::Place place;
};

// Puts one task back into its place: what had not begun is as if never taken, what ran is charged, what was cancelled is over.
void put_back(Lost &l) {
    store::TaskRow row;
    store::Locked locked = store::lock_by_id(l.hold.ref.id, store::Wait::Skip, false, &row);
    l.in_use = locked == store::Locked::Held;
    if (locked != store::Locked::Yes) return;
    TimestampTz now = GetCurrentTimestamp();
    if (is_waiting(row.status)) {
        if (l.was == HoldState::Popped) l.place = task::place_of(row);
        return;
    }
    bool mine = row.status == Status::Retained && row.epoch == map.shared->boot_epoch && row.receipt == l.hold.receipt;
    if (!mine) return;
    if (l.cancelled) {
        task::End end{};
        end.outcome = AttemptEnd::Cancelled;
        end.status = Status::Cancelled;
        end.error.sqlstate = ERRCODE_QUERY_CANCELED;
        end.error.message = l.reason != nullptr ? l.reason : "the task was cancelled and its worker terminated";
        end.cpu_seconds = -1;
        end.wal_bytes = end.row_count = -1;
        task::end_attempt(&row, end, now, store::Wait::Skip);
    } else if (l.was == HoldState::Running && l.by == dispatch::EndedBy::Order) {
        task::charge_terminated(&row, now);
    } else if (l.was == HoldState::Running && l.by == dispatch::EndedBy::Timeout) {
        task::fail_timed_out(&row, now);
    } else if (l.was == HoldState::Running && l.by == dispatch::EndedBy::Itself) {
        dispatch::note_death(&map.roles[map.shared->workers[l.worker].role].deaths);
        task::charge_crash(&row, err::worker_ended, "the worker process ended while the task ran", now);
    } else {
        task::give_back(&row, &l.place);
    }
}

void release_hold(Hold *h) {
    dispatch::end_running(h->queue, h->group);
    pg_atomic_write_u32(&h->state, static_cast<uint32>(HoldState::None));
}

// False: something is left to do.
bool recover_ended(SlotNo no) {
    WorkerSlot &w = map.shared->workers[no];
    bool done = true;
    // From the last one, so that they stand in their order again.
    for (uint32 i = pg_atomic_read_u32(&w.n_holds); i-- > 0;) {
        Hold &h = w.holds[i];
        HoldState was = static_cast<HoldState>(pg_atomic_read_u32(&h.state));
        if (was == HoldState::None || was == HoldState::Taken) continue;
        bool cancelled = static_cast<int64>(pg_atomic_read_u64(&w.cancel_id)) == h.ref.id && static_cast<int32>(pg_atomic_read_u32(&w.cancel_attempt)) == h.attempt;
        const char *reason = cancelled ? dispatch::cancel_reason(w, h.ref.id, h.attempt) : nullptr;
        Lost lost{no, h, was, cancelled, reason, static_cast<dispatch::EndedBy>(pg_atomic_read_u32(&w.ended_by)), false, {}};
        if (!transact("give back the task of an ended worker", [&lost] {
                put_back(lost);
                PGQUEUE_TESTPOINT("scheduler-recovering");
            }))
            pg_atomic_write_u32(&my_db().lost, 1);
        else
            task::take_place(lost.place);
        if (lost.in_use)
            done = false;
        else
            release_hold(&h);
    }
    if (!done) return false;
    dispatch::clear_running(no);
    note_worker_gone(no);
    return true;
}

// Takes back one task that the worker has claimed but not begun. What somebody has in hands stays with the worker, and what it has begun by now.
bool take_back_one(Hold *h, task::Place *place) {
    store::TaskRow row;
    // While we hold the row of a retained task it cannot end, so its hold is not used again for another one.
    if (store::lock(h->ref, store::Wait::Skip, false, &row) != store::Locked::Yes || row.status != Status::Retained || row.receipt != h->receipt) return false;
    uint32 claimed = static_cast<uint32>(HoldState::Claimed);
    if (!pg_atomic_compare_exchange_u32(&h->state, &claimed, static_cast<uint32>(HoldState::Taken))) return false;
    return task::give_back(&row, place);
}

// Whether anybody else could run what a worker gives back: its role has another worker or a place for one. If not, its tasks keep their order
// by staying where they are; the wish stays noted.
bool could_share(const WorkerSlot &w) {
    if (pg_atomic_read_u32(&map.roles[w.role].workers) > 1) return true;
    return config::max_workers_per_role != 1 && pg_atomic_read_u32(&map.shared->total_workers) < static_cast<uint32>(config::max_workers());
}

// Takes back what a worker has not begun while its present task goes on.
void take_back(WorkerSlot *w) {
    for (uint32 i = pg_atomic_read_u32(&w->n_holds); i-- > 0;) {
        Hold &h = w->holds[i];
        if (static_cast<HoldState>(pg_atomic_read_u32(&h.state)) != HoldState::Claimed) continue;
        bool taken = false;
        SlotNo queue = h.queue;  // once taken, the worker may go on and use its holds again
        dispatch::GroupNo group = h.group;
        task::Place place;
        bool ok = transact("take back a task that has not begun", [&] { taken = take_back_one(&h, &place); });
        if (ok) task::take_place(place);
        if (taken) dispatch::end_running(queue, group);
        if (!ok && static_cast<HoldState>(pg_atomic_read_u32(&h.state)) == HoldState::Taken) pg_atomic_write_u32(&my_db().lost, 1);
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

pg::Deadline recover_workers(const pg::Moment &now) {
    constexpr int64 look_again = 20 * 1000;
    pg::Deadline next = never;
    for (SlotNo i = 0; i < dispatch::max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (w.db != self.db) continue;
        WorkerState state = static_cast<WorkerState>(pg_atomic_read_u32(&w.state));
        if (state == WorkerState::Ended && !recover_ended(i)) next = now.in(look_again);
        if (state == WorkerState::Busy && pg_atomic_read_u32(&w.giving_back) != 0 && could_share(w)) {
            pg_atomic_write_u32(&w.giving_back, 0);
            take_back(&w);
        }
    }
    return next;
}

}  // namespace pgqueue::worker::scheduler
