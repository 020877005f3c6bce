#include "task/outside.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/outside.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/wake.hpp"
#include "dispatch/xact.hpp"
#include "pg/errcodes.hpp"
#include "pg/error.hpp"

namespace pgqueue::task {
namespace {

constexpr int pop_chunk = 128;
// How long a group waits for a task whose row is in somebody's hands.
constexpr int64 locked_wait = 20 * 1000;

// The lease of a row taken or extended now, for so many microseconds; 0: with the session only. It never reaches beyond dies_at.
dispatch::LeaseTime lease_time(const store::TaskRow &row, int64 length, const pg::Moment &now) {
    if (length <= 0) return {now.monotonic, 0, 0};
    length = Min(length, END_TIMESTAMP - 1 - now.wall);
    TimestampTz end = now.wall + length;
    return {now.monotonic, now.monotonic + length, row.dies_at != 0 ? Min(end, row.dies_at) : end};
}

// Not due yet, by a hint that came too early.
void put_off(const store::TaskRow &row, const dispatch::Popped &p) {
    dispatch::file_hint({row.ref, dispatch::outside_lane(p.queue), row.priority, row.delayed_at, row.dies_at, row.group, dispatch::Comes::Again});
    dispatch::wake_scheduler(dispatch::map.queues[p.queue].db);
}

// Makes one popped task retained. False: it is not to be had.
bool take_one(const TakeRequest &r, const dispatch::Popped &p, store::TaskRow *row, const pg::Moment &at) {
    TimestampTz now = at.wall;
    if (!store::fetch_to_change(p.ref, true, row) || !is_waiting(row->status) || row->queue_id != dispatch::map.queues[p.queue].queue_id) return false;
    const store::QueueInfo *q = store::queue_by_id(row->queue_id);
    if (q == nullptr) return false;
    if (runs_in_server(*q, row->flags)) {
        hint_again(*row, dispatch::Comes::Again);  // the queue's executor has changed
        return false;
    }
    if (row->delayed_at > now) {
        put_off(*row, p);
        return false;
    }
    if (row->dies_at != 0 && row->dies_at <= now) {
        touch(*row);
        end_waiting(row, Status::Expired, {}, now, store::Wait::Skip);
        return false;
    }
    if ((row->flags & flag_waits) != 0) return false;
    // It has moved to another group since, or into one, where it has its place.
    if (row->group != dispatch::key_of_group(p.group)) return false;
    dispatch::LeaseTime time = lease_time(*row, r.lease >= 0 ? r.lease : r.session_bound ? 0 : q->lease, at);
    if (!retain(row, r.worker, r.receipt, time.until, r.session_bound, now)) {
        if (row->group != 0 && !q->group_pass) wait_in_group(*row, now + locked_wait);
        return false;
    }
    dispatch::note_retained({p.queue, p.group, row->ref, r.receipt, row->priority, row->attempt, time, row->dies_at, r.session_bound, GetUserId()}, row->group);
    return true;
}

// The head of a group that is not to be had: when that is by changes of this very transaction, an abort has it the first again.
void keep_place(const dispatch::Popped &p) {
    dispatch::note_touched({p.ref, dispatch::outside_lane(p.queue), p.priority, 0, 0, dispatch::key_of_group(p.group), dispatch::Comes::Again});
}

// What was popped and not looked at yet when an error came; the pages' bounds of dies_at are found again by a look at them.
void return_rest(const dispatch::Popped *popped, int n) {
    while (n-- > 0) {
        dispatch::put_back(popped[n].queue, popped[n].priority, popped[n].ref, dispatch::key_of_group(popped[n].group), GetCurrentTimestamp());
        dispatch::unreserve(popped[n].queue, popped[n].group);
    }
}

}  // namespace

int64 new_receipt() {
    int64 receipt = 0;
    while (receipt == 0)
        if (!pg_strong_random(&receipt, sizeof(receipt))) ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not get random bytes"));
    return receipt;
}

int take(const TakeRequest &r, store::TaskRow *out, int most) {
    dispatch::Popped popped[pop_chunk];
    int taken = 0, n = 0, i = 0;
    auto take_all = [&] {
        while (taken < most) {
            int want = Min(most - taken, pop_chunk);
            while (want > 0 && !dispatch::reserve_leases(want)) {
                dispatch::unreserve_leases();
                want /= 2;
            }
            if (want == 0) break;
            i = 0;
            n = dispatch::pop_for_outside(r.ns, r.queues, popped, want);
            if (n == 0) break;
            pg::Moment now = pg::this_moment();
            for (; i < n; i++) {
                if (take_one(r, popped[i], &out[taken], now)) {
                    taken++;
                    continue;
                }
                if (popped[i].group != 0) keep_place(popped[i]);
                dispatch::unreserve(popped[i].queue, popped[i].group);
            }
        }
    };
    pg::with_cleanup(take_all, [&] {
        return_rest(popped + i, n - i);
        dispatch::unreserve_leases();
    });
    return taken;
}

Held hold(int64 id, int64 receipt, store::TaskRow *row) {
    dispatch::Lease lease;
    bool known = dispatch::find_lease(id, &lease);
    store::Locked locked = known ? store::lock(lease.ref, store::Wait::Block, false, row) : store::lock_by_id(id, store::Wait::Block, false, row);
    if (locked != store::Locked::Yes) return Held::Unknown;
    if (is_waiting(row->status)) {
        touch(*row);
        hint_again(*row, dispatch::Comes::Changed);
    }
    if (row->receipt != receipt || receipt == 0) return Held::Lost;
    if (row->status == Status::Retained) return Held::Yes;
    return row->status == Status::Cancelled ? Held::Cancelled : Held::Lost;
}

bool look_at_held(int64 id, int64 receipt, store::TaskRow *row) {
    dispatch::Lease lease;
    return receipt != 0 && dispatch::find_lease(id, &lease) && store::fetch_to_change(lease.ref, false, row) && row->receipt == receipt &&
           row->status == Status::Retained;
}

namespace {

// The lease and the place under the limits go with the commit.
void over(const store::TaskRow &row) { dispatch::note_lease_over(row.ref.id, row.receipt); }

// told: there will be an outcome row.
End plain_end(const store::TaskRow &row, AttemptEnd outcome, Status status, bool told = true) {
    End end{};
    end.worker = told ? store::worker_name(row) : nullptr;
    end.outcome = outcome;
    end.status = status;
    end.cpu_seconds = -1;
    end.wal_bytes = end.row_count = -1;
    return end;
}

}  // namespace

bool release(store::TaskRow *row, Jsonb *result, store::Wait wait) {
    End end = plain_end(*row, AttemptEnd::Released, Status::Released, result != nullptr);
    end.result = result;
    end.only_if_told = true;
    if (!end_attempt(row, end, GetCurrentTimestamp(), wait)) return false;
    over(*row);
    return true;
}

void fail(store::TaskRow *row, const FailRequest &request) {
    over(*row);
    TimestampTz now = GetCurrentTimestamp();
    End end = plain_end(*row, AttemptEnd::Failed, Status::Failed);
    end.result = request.result;
    end.error.sqlstate = ERRCODE_RAISE_EXCEPTION;
    end.error.message = request.error ? request.error : "the worker failed the task";
    if (!request.final) end.status = after_failure(row, store::queue_by_id(row->queue_id), ERRCODE_RAISE_EXCEPTION, now);
    if (end.status == Status::Retry && request.retry_in >= 0) row->delayed_at = pg::later(now, request.retry_in);
    end_attempt(row, end, now, store::Wait::Block);
}

void snooze(store::TaskRow *row, int64 delay) {
    over(*row);
    TimestampTz now = GetCurrentTimestamp();
    row->uncounted++;
    row->delayed_at = delay > 0 ? pg::later(now, delay) : 0;
    end_attempt(row, plain_end(*row, AttemptEnd::Snoozed, Status::Retry), now, store::Wait::Block);
}

void cancel_held(store::TaskRow *row, const char *reason) {
    over(*row);
    End end = plain_end(*row, AttemptEnd::Cancelled, Status::Cancelled);
    end.error.sqlstate = ERRCODE_QUERY_CANCELED;
    end.error.message = reason ? reason : "the task was cancelled";
    end_attempt(row, end, GetCurrentTimestamp(), store::Wait::Block);
}

TimestampTz extend(store::TaskRow *row, int64 lease) {
    const store::QueueInfo *q = store::queue_by_id(row->queue_id);
    dispatch::LeaseTime time = lease_time(*row, lease > 0 ? lease : q ? q->lease : 0, pg::this_moment());
    row->lease_until = time.until;
    store::update(row, nullptr, store::Wait::Block);
    dispatch::note_extended(row->ref.id, row->receipt, time);
    return row->lease_until;
}

bool lease_over(const dispatch::Lease &seen, const pg::Moment &moment) {
    TimestampTz now = moment.wall;
    store::TaskRow row;
    store::Locked locked = store::lock(seen.ref, store::Wait::Skip, false, &row);
    if (locked == store::Locked::Held) return false;
    if (locked == store::Locked::Gone || row.status != Status::Retained || row.receipt != seen.receipt) {
        // The row says that the attempt is over: only memory is behind.
        if (locked == store::Locked::Yes && is_waiting(row.status)) {
            touch(row);
            hint_again(row, dispatch::Comes::Changed);
        }
        dispatch::drop_lease(seen.id, seen.receipt);
        return true;
    }
    dispatch::Lease lease;
    if (!dispatch::find_lease(seen.id, &lease, seen.receipt)) return true;
    bool expired = row.dies_at != 0 && row.dies_at <= now, session_gone = lease.ended;
    if (!expired && !session_gone) {
        // Extended by a transaction that has ended and tells memory in a moment.
        if (lease.time.until != row.lease_until) return false;
        if (!dispatch::is_over(lease, moment)) {
            dispatch::note_lease_ends(lease.db, lease.time, lease.dies);
            return true;
        }
    }
    over(row);
    End end = plain_end(row, AttemptEnd::Lost, Status::Retry);
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
