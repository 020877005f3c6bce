#include "task/end_lease.hpp"

#include "dispatch/ended_leases.hpp"
#include "dispatch/lease.hpp"
#include "handover/leases.hpp"
#include "pg/errcodes.hpp"
#include "signal/incidents.hpp"
#include "signal/running_file.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/after_crash.hpp"
#include "task/retry.hpp"
#include "task/row_lock.hpp"

namespace pgqueue::task {
namespace {

using memory::Owed;

bool is_of(const store::TaskRow &row, const memory::Lease &lease) {
    return row.status == Status::Retained && row.receipt == lease.receipt;
}

// Shared memory is behind: by its row, the attempt has ended.
LeaseEnd drop(const memory::Lease &lease) {
    dispatch::drop_lease(lease.id, lease.receipt);
    return {true, {}};
}

End lost_end(const store::TaskRow &row, AttemptEnd outcome, Status status) {
    return {.outcome = outcome, .status = status, .worker = store::worker_name(row)};
}

// Ends the task at its dies_at, whichever process holds it.
bool expire(const QueueRef &queue, store::TaskRow *row, const char *message, TimestampTz now) {
    End end = lost_end(*row, AttemptEnd::Expired, Status::Expired);
    end.error = {err::expired_while_running, message, nullptr, nullptr, nullptr};
    return end_attempt(queue, row, end, now, store::Wait::Skip);
}

// Ends an attempt whose holder has lost the task. The task is ready at once, because the wait before a retry is for
// failures.
bool lose(const QueueRef &queue, store::TaskRow *row, bool session_gone, TimestampTz now) {
    End end = lost_end(*row, AttemptEnd::Lost, Status::Retry);
    end.error.sqlstate = session_gone ? err::worker_ended : err::lease_ended;
    end.error.message = session_gone ? "the session of its worker ended" : "its lease ended";
    end.status = after_failure(queue.info, row, end.error.sqlstate, now);
    if (end.status == Status::Retry) row->delayed_at = 0;
    return end_attempt(queue, row, end, now, store::Wait::Skip);
}

// Ends a lease of an outside worker by its time, its session or the end of its task.
LeaseEnd end_outside(const QueueRef &queue, store::TaskRow *row, const memory::Lease &seen, const pg::Moment &now) {
    memory::Lease lease;
    if (!dispatch::find_lease(seen.id, &lease, seen.receipt)) return {true, {}};
    bool expired = row->dies_at != 0 && row->dies_at <= now.wall;
    if (!expired && !lease.ended) {
        // A transaction that has just ended has extended the lease, and will update shared memory in a moment.
        if (lease.time.until != row->lease_until) return {};
        if (!dispatch::is_over(lease, now)) {
            dispatch::lower_lease_bound_by(lease.db, lease.time, lease.dies);
            return {true, {}};
        }
    }
    bool written = expired ? expire(queue, row, "the task expired while a worker held it", now.wall)
                           : lose(queue, row, lease.ended, now.wall);
    if (written) handover::end_lease_at_commit(seen.id, seen.receipt);
    return {written, {}};
}

// Checks a lease that was restored from its row. It may have been extended or ended between the scan and the creation
// of the entry.
LeaseEnd check(const store::TaskRow &row, const memory::Lease &lease) {
    dispatch::set_lease_end(lease.id, lease.receipt, restored_time(row), InvalidOid);
    dispatch::forget_owed(lease.id, lease.receipt);
    return {true, {}};
}

LeaseEnd put_back(const QueueRef &queue, const store::TaskRow &row, const memory::Lease &lease) {
    handover::end_lease_at_commit(lease.id, lease.receipt);
    return {true, origin_of(queue, row)};
}

// Ends an attempt whose process is gone.
LeaseEnd end_owed(const QueueRef &queue, store::TaskRow *row, const memory::Lease &lease, TimestampTz now) {
    LeaseEnd end{};
    bool this_life = row->epoch == memory::map.shared->boot_epoch;
    switch (lease.owed) {
        case Owed::Crash: {
            const char *why =
                this_life ? "the worker process ended while the task ran" : "the server crashed while the task ran";
            end.looked = charge_crash(queue, row, err::worker_ended, why, now);
            break;
        }
        case Owed::Terminated: end.looked = charge_terminated(queue, row, now); break;
        case Owed::TimedOut:
            end.looked = fail_stopped(queue, row, err::transaction_timeout,
                                      "terminating connection due to transaction timeout", now);
            break;
        case Owed::RunLimit:
            end.looked = fail_stopped(queue, row, err::run_limit,
                                      "the task ran longer than its run limit, and its worker was terminated", now);
            break;
        case Owed::Expired:
            end.looked = expire(queue, row, "the task expired while it ran, and its worker was terminated", now);
            break;
        default: end.looked = give_back(queue, row, &end.place);
    }
    if (end.looked) handover::end_lease_at_commit(lease.id, lease.receipt);
    return end;
}

// Returns how long a restored lease holds: as long as it was given for. A lease that was extended counts from its start
// to its last end. If the clock was set back meanwhile, this is the queue's lease.
int64 full_length(const store::TaskRow &row) {
    if (row.lease_until > row.started_at) return row.lease_until - row.started_at;
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    return q != nullptr && q->lease > 0 ? q->lease : 1;
}

}  // namespace

memory::LeaseTime restored_time(const store::TaskRow &row) {
    return {0, row.lease_until != 0 ? pg::monotonic_now() + full_length(row) : 0, row.lease_until};
}

LeaseEnd end_lease(const memory::Lease &seen, const pg::Moment &now) {
    if (seen.owed == Owed::Charge) {
        if (!charge_executed(seen.id, seen.attempt, now.wall)) return {};
        handover::end_lease_at_commit(seen.id, seen.receipt);
        return {true, {}};
    }
    store::TaskRow row;
    store::Locked locked = lock_row(seen.ref, store::Wait::Skip, false, &row);
    if (locked == store::Locked::ByOther) return {};
    if (locked == store::Locked::Gone) return drop(seen);
    const QueueRef queue = queue_of(row);
    if (seen.owed == Owed::PutBack && is_waiting(row.status)) return put_back(queue, row, seen);
    if (!is_of(row, seen)) {
        let_go(queue, row);
        return drop(seen);
    }
    if (seen.owed == Owed::Nothing) return end_outside(queue, &row, seen, now);
    return seen.owed == Owed::Check ? check(row, seen) : end_owed(queue, &row, seen, now.wall);
}

bool charge_executed(int64 id, int32 attempt, TimestampTz now) {
    store::TaskRow row;
    store::Locked locked = lock_row(id, store::Wait::Skip, false, &row);
    if (locked != store::Locked::Yes) return locked == store::Locked::Gone;
    const QueueRef queue = queue_of(row);
    if (is_waiting(row.status) && row.attempt < attempt) {
        row.uncounted += attempt - row.attempt - 1;
        row.attempt = attempt;
        row.started_at = now;
    } else if (row.status != Status::Retained || row.attempt != attempt ||
               row.epoch == memory::map.shared->boot_epoch) {
        let_go(queue, row);
        return true;
    }
    return charge_crash(queue, &row, err::worker_ended, "the server crashed while the task ran", now);
}

}  // namespace pgqueue::task
