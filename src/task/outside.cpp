#include "task/outside.hpp"

#include "dispatch/group_entries.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/lease_entries.hpp"
#include "dispatch/pop.hpp"
#include "dispatch/reserved_leases.hpp"
#include "handover/leases.hpp"
#include "handover/transaction.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "pg/errcodes.hpp"
#include "pg/error.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "store/rows_write.hpp"
#include "task/may_run.hpp"
#include "task/requested_end.hpp"
#include "task/row_lock.hpp"

namespace pgqueue::task {
namespace {

// Returns the lease of a row that is taken or extended now. length: microseconds, 0: only with the session. It never
// extends beyond dies_at.
memory::LeaseTime lease_time(const store::TaskRow &row, int64 length, const pg::Moment &now) {
    if (length <= 0) return {now.monotonic, 0, 0};
    length = Min(length, END_TIMESTAMP - 1 - now.wall);
    TimestampTz end = now.wall + length;
    return {now.monotonic, now.monotonic + length, row.dies_at != 0 ? Min(end, row.dies_at) : end};
}

// Makes the task of a popped entry retained. Returns false if the task cannot be taken.
bool take_one(const TakeRequest &r, SlotNo entry, store::TaskRow *row, const pg::Moment &at) {
    const memory::Lease &p = dispatch::lease(entry);
    TimestampTz now = at.wall;
    if (!store::fetch_to_change(p.ref, true, row)) return false;
    const Verdict verdict = judge(*row, memory::map.queues[p.queue].queue_id, dispatch::key_of_group(p.group), now);
    const QueueRef queue = verdict != Verdict::Stale ? queue_of(*row) : QueueRef{};
    const store::QueueInfo *q = queue.info;
    if (q == nullptr) return false;
    if (runs_in_server(*q, row->flags)) {
        hint_again(queue, *row, memory::Arrival::InFront);  // the queue's executor has changed
        return false;
    }
    if (verdict != Verdict::Run) {
        turn_away(verdict, queue, row, now);
        return false;
    }
    memory::LeaseTime time = lease_time(*row, r.lease >= 0 ? r.lease : r.session_bound ? 0 : q->lease, at);
    if (!retain(queue, row, r.worker, r.receipt, time.until, r.session_bound ? Held::Bound : Held::ForATime, now)) {
        if (row->group != 0 && !q->group_pass) put_off(queue, *row, memory::Wait::Locked);
        return false;
    }
    handover::hold_lease(entry,
                         {p.queue, p.group, row->ref, r.receipt, row->priority, row->attempt, time, row->dies_at,
                          r.session_bound, GetUserId()},
                         row->group);
    return true;
}

// Handles a task that cannot be taken. If it is the head of a group, this transaction's own changes may be the reason.
// So an abort makes it the head again.
void leave(SlotNo entry) {
    const memory::Lease &p = dispatch::lease(entry);
    if (p.group != 0)
        handover::hint_at_abort({p.ref, dispatch::outside_lane(p.queue), p.priority, 0, 0,
                                 dispatch::key_of_group(p.group), memory::Arrival::InFront});
    dispatch::drop_popped(entry);
}

}  // namespace

int take(const TakeRequest &r, store::TaskRow *out, int most) {
    int taken = 0;
    SlotNo popped[dispatch::most_unheld];
    while (taken < most) {
        std::span<const SlotNo> entries = dispatch::reserve_leases(most - taken);
        entries = entries.first(Min(entries.size(), static_cast<std::size_t>(most - taken)));
        int n = dispatch::pop_for_outside(r.ns, r.queues, entries);
        if (n == 0) break;
        memcpy(popped, entries.data(),
               sizeof(SlotNo) * static_cast<Size>(n));  // the span changes with each task that is taken
        pg::Moment now = pg::this_moment();
        for (int i = 0; i < n; i++) {
            if (take_one(r, popped[i], &out[taken], now))
                taken++;
            else
                leave(popped[i]);
        }
    }
    dispatch::return_unheld();
    return taken;
}

LeaseCheck hold(int64 id, int64 receipt, store::TaskRow *row) {
    memory::Lease lease;
    bool known = dispatch::find_lease(id, &lease);
    // A caller without the receipt must not lock the row. A receipt that a row has lost never comes back.
    if (!(known ? store::fetch(lease.ref, false, row) : store::find(id, false, row))) return LeaseCheck::Unknown;
    if (row->receipt != receipt || receipt == 0) return LeaseCheck::Lost;
    store::Locked locked =
        known ? lock_row(lease.ref, store::Wait::Block, false, row) : lock_row(id, store::Wait::Block, false, row);
    if (locked != store::Locked::Yes) return LeaseCheck::Unknown;
    let_go(queue_of(*row), *row);
    if (row->receipt != receipt || receipt == 0) return LeaseCheck::Lost;
    if (row->status == Status::Retained) return LeaseCheck::Yes;
    return row->status == Status::Cancelled ? LeaseCheck::Cancelled : LeaseCheck::Lost;
}

bool look_at_held(int64 id, int64 receipt, store::TaskRow *row) {
    memory::Lease lease;
    return receipt != 0 && dispatch::find_lease(id, &lease) && store::fetch_to_change(lease.ref, false, row) &&
           row->receipt == receipt && row->status == Status::Retained;
}

namespace {

// with_outcome: an outcome row will be written.
End plain_end(const store::TaskRow &row, AttemptEnd outcome, Status status, bool with_outcome = true) {
    return {.outcome = outcome, .status = status, .worker = with_outcome ? store::worker_name(row) : nullptr};
}

}  // namespace

bool release(const QueueRef &queue, store::TaskRow *row, Jsonb *result, store::Wait wait) {
    End end = plain_end(*row, AttemptEnd::Released, Status::Released, result != nullptr);
    end.result = result;
    end.only_if_any = true;
    if (!end_attempt(queue, row, end, GetCurrentTimestamp(), wait)) return false;
    handover::end_lease_at_commit(row->ref.id, row->receipt);
    return true;
}

void end_held(const QueueRef &queue, store::TaskRow *row, const Ending &ending) {
    handover::end_lease_at_commit(row->ref.id, row->receipt);
    TimestampTz now = GetCurrentTimestamp();
    End end = plain_end(*row, AttemptEnd::Failed, Status::Failed);
    apply(ending, queue.info, row, &end, now);
    end_attempt(queue, row, end, now, store::Wait::Block);
}

TimestampTz extend(const QueueRef &queue, store::TaskRow *row, int64 lease) {
    memory::LeaseTime time = lease_time(*row, lease > 0 ? lease : queue.info->lease, pg::this_moment());
    row->lease_until = time.until;
    store::update(row, nullptr, store::Wait::Block);
    handover::extend_lease_at_commit(row->ref.id, row->receipt, time);
    return row->lease_until;
}

}  // namespace pgqueue::task
