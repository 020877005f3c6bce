// From popped hints to rows that are ours.
#include "worker/runner.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/wake.hpp"
#include "pg/error.hpp"
#include "pg/guards.hpp"
#include "pg/refusals.hpp"
#include "pg/testpoint.hpp"
#include "store/catalog.hpp"
#include "task/lifecycle.hpp"
#include "task/route.hpp"
#include "task/workflow.hpp"

namespace pgqueue::worker::runner {
namespace {

using dispatch::Hold;
using dispatch::HoldState;
using dispatch::map;

enum class Verdict { Ours, Gone, Later };

// The one suspect that may run now is the worker's that holds this mark.
bool take_suspect_turn() {
    pg_atomic_uint32 *turn = &dispatch::database(my_slot().db).suspect_running;
    uint32 nobody = 0;
    uint32 me = static_cast<uint32>(self.slot + 1);
    return pg_atomic_read_u32(turn) == me || pg_atomic_compare_exchange_u32(turn, &nobody, me);
}

// Has a task that may not run yet wait for its time, or for a while.
void file_again(const Hold &h, const TaskRef &ref, TimestampTz due, TimestampTz dies, dispatch::Wait wait) {
    SlotNo lane = dispatch::ensure_lane(h.queue, my_slot().role);
    uint64 group = dispatch::key_of_group(h.group);
    dispatch::file_hint({ref, lane, h.priority, due, dies, group, dispatch::Comes::Again, wait});
    dispatch::wake_scheduler(my_slot().db);
}

void put_off(const Hold &h, const TaskRef &ref, TimestampTz dies, dispatch::Wait wait) {
    file_again(h, ref, 0, dies, wait);
}

// Somebody has the row in hands: whoever that is hints it again, but its group does not go on without it.
Verdict leave_to_others(const Hold &h, const store::TaskRow &row) {
    if (h.group != 0 && !map.queues[h.queue].group_pass) put_off(h, row.ref, row.dies_at, dispatch::Wait::Locked);
    return Verdict::Gone;
}

// A task of another role's handler, or of a queue that outside workers serve by now, is hinted to where it belongs.
bool is_for_my_role(const store::TaskRow &row) {
    int32 mine = map.roles[my_slot().role].role_id;
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    if (q == nullptr) return false;
    if ((row.flags & flag_command) != 0) return row.role_id == mine;
    if (q->server && store::same_role(task::runner_of(*q, row), mine)) return true;
    task::hint_again(row, dispatch::Comes::Again);
    return false;
}

// It ran when the server crashed, and the scheduler has still to write that.
bool is_to_be_charged(const store::TaskRow &row) {
    return pg_atomic_read_u32(&dispatch::database(my_slot().db).charges_owed) != 0 && dispatch::is_to_be_charged(row.ref.id);
}

// Looks at one row and, when it may run, makes it retained.
Verdict claim_one(Hold *h, store::TaskRow *row, TimestampTz now) {
    if (!store::fetch_to_change(h->ref, true, row) || !is_waiting(row->status)) return Verdict::Gone;
    if (row->queue_id != map.queues[h->queue].queue_id || !is_for_my_role(*row)) return Verdict::Gone;
    if (row->dies_at != 0 && row->dies_at <= now) {
        task::end_waiting(row, Status::Expired, {}, now, store::Wait::Skip);
        return Verdict::Gone;
    }
    if (row->delayed_at > now) {
        file_again(*h, row->ref, task::look_at(row->delayed_at, row->dies_at), row->dies_at, dispatch::Wait::None);
        return Verdict::Later;
    }
    if (is_to_be_charged(*row)) {
        put_off(*h, row->ref, row->dies_at, dispatch::Wait::Locked);
        return Verdict::Later;
    }
    if ((row->flags & flag_waits) != 0) return Verdict::Gone;
    // It has moved to another group since, or into one, where it has its place.
    if (row->group != dispatch::key_of_group(h->group)) return Verdict::Gone;
    if ((row->flags & flag_suspect) != 0 && !take_suspect_turn()) {
        put_off(*h, row->ref, row->dies_at, dispatch::Wait::Suspect);
        return Verdict::Later;
    }
    return task::retain(row, self.name, h->receipt, 0, true, now) ? Verdict::Ours : leave_to_others(*h, *row);
}

// The task's run limit in microseconds, 0 none: read here, because the task's own transaction must begin without a snapshot.
int64 run_limit_of(const store::TaskRow &row) {
    if (row.run_limit >= 0) return row.run_limit;
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    return q ? q->run_limit : 0;
}

}  // namespace

int claim(Claimed *out) {
    dispatch::WorkerSlot &w = my_slot();
    int n = static_cast<int>(pg_atomic_read_u32(&w.n_holds));
    Verdict verdicts[dispatch::max_batch];
    bool role_there = true;
    int64 receipt = 0;
    while (receipt == 0)
        if (!pg_strong_random(&receipt, sizeof(receipt))) receipt = 0;
    for (int i = 0; i < n; i++) w.holds[i].receipt = receipt;
    int before = synchronous_commit;
    synchronous_commit = SYNCHRONOUS_COMMIT_OFF;
    SetCurrentStatementStartTimestamp();
    pg::Outcome done = run_own_transaction(
        [&] {
            pg::MemoryScope scope(self.batch);
            role_there = store::role_exists(GetSessionUserId());
            if (!role_there) return;
            TimestampTz now = GetCurrentTimestamp();
            for (int i = 0; i < n; i++) {
                out[i].hold = i;
                verdicts[i] = claim_one(&w.holds[i], &out[i].row, now);
                w.holds[i].attempt = out[i].row.attempt;
                if (verdicts[i] == Verdict::Ours) out[i].run_limit = run_limit_of(out[i].row);
            }
            PGQUEUE_TESTPOINT("worker-claiming");
        },
        self.batch);
    synchronous_commit = before;
    // The scheduler puts back what an ended worker had popped, and sees that nobody takes it.
    if (!role_there) proc_exit(0);
    if (!done.ok) pg::log_refusal("pgqueue worker could not claim tasks", done.error);
    static constinit int failures = 0;
    failures = done.ok ? 0 : failures + 1;
    int ours = 0;
    for (int i = 0; i < n; i++) {
        Hold &h = w.holds[i];
        if (done.ok && verdicts[i] == Verdict::Ours) {
            out[ours] = out[i];
            ours++;
            pg_atomic_write_u32(&h.state, static_cast<uint32>(HoldState::Claimed));
            continue;
        }
        // After a failed claim the tasks go back, a moment later.
        if (!done.ok) put_off(h, h.ref, 0, dispatch::Wait::Failed);
        pg_atomic_write_u32(&h.state, static_cast<uint32>(HoldState::None));
        dispatch::end_running(h.queue, h.group);
    }
    // The next tasks would very likely fail in the same way.
    if (failures > 0) wait_before_retry(failures - 1);
    return ours;
}

}  // namespace pgqueue::worker::runner
