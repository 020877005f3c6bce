#include "task/outside.hpp"

#include "dispatch/due.hpp"
#include "dispatch/outside.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/wake.hpp"
#include "dispatch/xact.hpp"
#include "pg/errcodes.hpp"

namespace pgqueue::task {
namespace {

constexpr int pop_chunk = 128;

// End of the lease of a row taken or extended now; 0: with the session only. A lease never reaches beyond dies_at.
TimestampTz lease_end(const store::TaskRow &row, int64 lease, TimestampTz now) {
    if (lease <= 0) return 0;
    TimestampTz end = lease < END_TIMESTAMP - 1 - now ? now + lease : END_TIMESTAMP - 1;
    return row.dies_at != 0 ? Min(end, row.dies_at) : end;
}

// A popped task that was not taken: its place under the limits is free again.
void let_go(const dispatch::Popped &p) { dispatch::end_running(p.queue, 1); }

// Not due yet, by a hint that came too early.
void put_off(const store::TaskRow &row, const dispatch::Popped &p) {
    SlotNo db = dispatch::map.queues[p.queue].db;
    SlotNo lane = dispatch::outside_lane(p.queue);
    if (!dispatch::add_due(db, {row.delayed_at, row.dies_at, row.ref, lane, row.priority})) pg_atomic_write_u32(&dispatch::database(db).lost, 1);
    dispatch::wake_scheduler(db);
}

// Makes one popped task retained. False: it is not to be had.
bool take_one(const TakeRequest &r, const dispatch::Popped &p, store::TaskRow *row, TimestampTz now) {
    if (!store::fetch(p.ref, true, row) || !is_waiting(row->status) || row->queue_id != dispatch::map.queues[p.queue].queue_id) return false;
    const store::QueueInfo *q = store::queue_by_id(row->queue_id);
    if (q == nullptr || runs_in_server(*q, row->flags)) return false;
    if (row->delayed_at > now) {
        put_off(*row, p);
        return false;
    }
    if (row->dies_at != 0 && row->dies_at <= now) {
        end_waiting(row, Status::Expired, {}, now, store::Wait::Skip);
        return false;
    }
    if ((row->flags & flag_waits) != 0) return false;
    TimestampTz until = lease_end(*row, r.lease >= 0 ? r.lease : r.session_bound ? 0 : q->lease, now);
    if (!retain(row, r.worker, r.receipt, until, now)) return false;
    dispatch::note_retained({p.queue, row->ref, r.receipt, row->priority, row->attempt, until, r.session_bound}, row->dies_at);
    return true;
}

}  // namespace

int take(const TakeRequest &r, store::TaskRow *out, int most) {
    dispatch::Popped popped[pop_chunk];
    int taken = 0;
    while (taken < most) {
        int want = Min(most - taken, pop_chunk);
        while (want > 0 && !dispatch::reserve_leases(want)) {
            dispatch::unreserve_leases();
            want /= 2;
        }
        if (want == 0) break;
        int n = dispatch::pop_for_outside(r.ns, r.queues, popped, want);
        if (n == 0) break;
        TimestampTz now = GetCurrentTimestamp();
        for (int i = 0; i < n; i++) {
            if (take_one(r, popped[i], &out[taken], now))
                taken++;
            else
                let_go(popped[i]);
        }
    }
    dispatch::unreserve_leases();
    return taken;
}

Held hold(int64 id, int64 receipt, store::TaskRow *row) {
    dispatch::Lease lease;
    bool known = dispatch::find_lease(id, &lease);
    store::Locked locked = known ? store::lock(lease.ref, store::Wait::Block, false, row) : store::lock_by_id(id, store::Wait::Block, false, row);
    if (locked != store::Locked::Yes) return Held::Unknown;
    if (row->receipt != receipt) return Held::Lost;
    if (row->status == Status::Retained) return Held::Yes;
    return row->status == Status::Cancelled ? Held::Cancelled : Held::Lost;
}

namespace {

// The lease and the place under the limits go with the commit.
void over(const store::TaskRow &row) {
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    SlotNo slot = q ? slot_of(*q) : -1;
    if (slot >= 0) dispatch::note_lease_over(row.ref.id, row.receipt, slot);
}

End plain_end(AttemptEnd outcome, Status status) {
    End end{};
    end.outcome = outcome;
    end.status = status;
    end.cpu_seconds = -1;
    end.wal_bytes = end.row_count = -1;
    return end;
}

}  // namespace

void release(store::TaskRow *row, Jsonb *result) {
    over(*row);
    End end = plain_end(AttemptEnd::Released, Status::Released);
    end.result = result;
    end.only_if_told = true;
    end_attempt(row, end, GetCurrentTimestamp(), store::Wait::Block);
}

void fail(store::TaskRow *row, const FailRequest &request) {
    over(*row);
    TimestampTz now = GetCurrentTimestamp();
    End end = plain_end(AttemptEnd::Failed, Status::Failed);
    end.result = request.result;
    end.error.sqlstate = ERRCODE_RAISE_EXCEPTION;
    end.error.message = request.error ? request.error : "the worker failed the task";
    if (!request.final) end.status = after_failure(row, store::queue_by_id(row->queue_id), ERRCODE_RAISE_EXCEPTION, now);
    if (end.status == Status::Retry && request.retry_in >= 0) row->delayed_at = now + request.retry_in;
    end_attempt(row, end, now, store::Wait::Block);
}

void snooze(store::TaskRow *row, int64 delay) {
    over(*row);
    TimestampTz now = GetCurrentTimestamp();
    row->uncounted++;
    row->delayed_at = delay > 0 ? now + delay : 0;
    end_attempt(row, plain_end(AttemptEnd::Snoozed, Status::Retry), now, store::Wait::Block);
}

void cancel_held(store::TaskRow *row, const char *reason) {
    over(*row);
    End end = plain_end(AttemptEnd::Cancelled, Status::Cancelled);
    end.error.sqlstate = ERRCODE_QUERY_CANCELED;
    end.error.message = reason ? reason : "the task was cancelled";
    end_attempt(row, end, GetCurrentTimestamp(), store::Wait::Block);
}

TimestampTz extend(store::TaskRow *row, int64 lease) {
    const store::QueueInfo *q = store::queue_by_id(row->queue_id);
    row->lease_until = lease_end(*row, lease > 0 ? lease : q ? q->lease : 0, GetCurrentTimestamp());
    store::update(row, nullptr, store::Wait::Block);
    dispatch::note_extended(row->ref.id, row->receipt, row->lease_until);
    return row->lease_until;
}

bool lease_over(const dispatch::Lease &lease, TimestampTz now) {
    bool session_gone = lease.ended;
    store::TaskRow row;
    store::Locked locked = store::lock(lease.ref, store::Wait::Skip, false, &row);
    if (locked == store::Locked::Held) return false;
    if (locked == store::Locked::Gone || row.status != Status::Retained || row.receipt != lease.receipt) {
        // The row says that the attempt is over: only memory is behind.
        if (dispatch::drop_lease(lease.id, lease.receipt)) dispatch::end_running(lease.queue, 1);
        return true;
    }
    if (!session_gone && row.lease_until > now) return true;  // extended by a transaction that has just ended
    over(row);
    End end = plain_end(AttemptEnd::Lost, Status::Retry);
    bool expired = row.dies_at != 0 && row.dies_at <= now;
    if (expired) {
        end.outcome = AttemptEnd::Expired;
        end.status = Status::Expired;
        end.error = {err::expired_while_running, "the task expired while a worker held it", nullptr, nullptr, nullptr};
    } else {
        end.error = {session_gone ? err::worker_ended : err::lease_ended, session_gone ? "the session of its worker ended" : "its lease ended", nullptr, nullptr, nullptr};
        end.status = after_failure(&row, store::queue_by_id(row.queue_id), end.error.sqlstate, now);
        if (end.status == Status::Retry) row.delayed_at = 0;  // ready at once: the wait is for failures
    }
    return end_attempt(&row, end, now, store::Wait::Skip);
}

}  // namespace pgqueue::task
