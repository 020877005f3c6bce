// Turns popped hints into rows that this worker has retained.
#include "worker/claim.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/group_entries.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/limits.hpp"
#include "memory/registry.hpp"
#include "memory/roles.hpp"
#include "memory/wake.hpp"
#include "pg/error.hpp"
#include "pg/failure_log.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/dependencies.hpp"
#include "task/may_run.hpp"
#include "task/make_receipt.hpp"
#include "task/route.hpp"
#include "task/transitions.hpp"
#include "worker/own_statements.hpp"
#include "worker/worker.hpp"

namespace pgqueue::worker::runner {
namespace {

using memory::Hold;
using memory::HoldState;
using memory::map;

// Returns whether this worker may run a suspect. Only the worker with this mark may, so that one suspect runs at a
// time.
bool take_suspect_turn() {
    pg::AtomicSlot *turn = &memory::database(my_slot().db).workers.suspect;
    return turn->load() == self.slot || turn->replace(-1, self.slot);
}

// Returns whether this worker's role runs the task. If another role's handler, or outside workers, should run it now,
// hints it there.
bool is_for_my_role(const task::QueueRef &queue, const store::TaskRow &row) {
    int32 mine = map.roles[my_slot().role].role_id;
    if ((row.flags & flags_own_work) != 0) return row.role_id == mine;
    if (queue.info->server && store::same_role(task::runner_of(*queue.info, row), mine)) return true;
    task::hint_again(queue, row, memory::Arrival::InFront);
    return false;
}

// Returns whether the task ran when the server crashed, and the scheduler still has to record that.
bool is_to_be_charged(const store::TaskRow &row) {
    return memory::database(my_slot().db).leases.charges_owed.load() != 0 && dispatch::is_to_be_charged(row.ref.id);
}

// Makes the task of a popped entry retained. Returns false if it cannot be taken.
bool claim_one(const Hold &h, Claimed *c, TimestampTz now) {
    store::TaskRow *row = &c->row;
    if (!store::fetch_to_change(h.ref, true, row)) return false;
    const task::Verdict verdict = task::judge(*row, map.queues[h.queue].queue_id, dispatch::key_of_group(h.group), now);
    if (verdict == task::Verdict::Stale) return false;
    const task::QueueRef queue = task::queue_of(*row);
    if (queue.info == nullptr || !is_for_my_role(queue, *row)) return false;
    if (verdict != task::Verdict::Run) {
        task::turn_away(verdict, queue, row, now);
        return false;
    }
    if (is_to_be_charged(*row)) {
        task::put_off(queue, *row, memory::Wait::Locked);
        return false;
    }
    if ((row->flags & flag_suspect) != 0 && !take_suspect_turn()) {
        task::put_off(queue, *row, memory::Wait::Suspect);
        return false;
    }
    // Read here, because the task's own transaction must begin without a snapshot. The names live as long as the batch.
    const store::NamespaceInfo *ns = store::namespace_by_id(queue.info->ns_id);
    c->ns = pstrdup(ns != nullptr ? ns->name : "");
    c->queue = pstrdup(queue.info->name);
    c->run_limit = row->run_limit >= 0 ? row->run_limit : queue.info->run_limit;
    c->start = task::start_of(queue, *row);
    row->flags = static_cast<int16>(row->role_id == map.roles[my_slot().role].role_id ? row->flags | flag_own_role
                                                                                      : row->flags & ~flag_own_role);
    if (task::retain(queue, row, self.name, h.receipt, 0, task::Held::Claimed, now)) return true;
    // The transaction that holds the row hints the task again, but its group does not continue without it.
    if (row->group != 0 && !queue.info->group_pass) task::put_off(queue, *row, memory::Wait::Locked);
    return false;
}

// Returns the bytes of those parts of a task that can be large.
Size bytes_of(const store::TaskRow &row) {
    return (row.command != nullptr ? strlen(row.command) : 0) + (row.payload != nullptr ? VARSIZE(row.payload) : 0) +
           (row.headers != nullptr ? VARSIZE(row.headers) : 0);
}

// Files a task that was popped but not claimed for a moment later. Its row was perhaps not read.
void file_again(const Hold &h, memory::Wait wait) {
    SlotNo lane = memory::ensure_lane(h.queue, my_slot().role);
    dispatch::enqueue({h.ref, lane, h.priority, 0, 0, dispatch::key_of_group(h.group), memory::Arrival::InFront, wait});
    memory::wake_scheduler(my_slot().db);
}

// What a transaction did with the popped tasks. It may not have committed.
struct Claims {
    bool role_there = true;
    int looked_at = 0;  // the first ones
    bool claimed[memory::max_batch];
};

// Claims the first n popped tasks, unless they are too large together or the role of this worker is gone.
void claim_rows(int n, Claims *claims, Claimed *out) {
    constexpr Size most_bytes = 16 * 1024 * 1024;  // beyond that, no more tasks are claimed at once
    memory::WorkerSlot &w = my_slot();
    pg::MemoryScope scope(self.batch);
    claims->role_there = store::role_exists(GetSessionUserId());
    if (!claims->role_there) return;
    const int64 receipt = task::new_receipt();
    TimestampTz now = GetCurrentTimestamp();
    Size bytes = 0;
    for (int i = 0; i < n && bytes < most_bytes; claims->looked_at = ++i) {
        out[i] = Claimed{};
        out[i].hold = i;
        w.holds[i].receipt = receipt;
        claims->claimed[i] = claim_one(w.holds[i], &out[i], now);
        w.holds[i].attempt = out[i].row.attempt;
        bytes += bytes_of(out[i].row);
    }
    PGQUEUE_TESTPOINT("worker-claiming");
}

}  // namespace

int claim(Claimed *out) {
    memory::WorkerSlot &w = my_slot();
    const int n = w.n_holds.load();
    Claims claims;
    int before = synchronous_commit;
    synchronous_commit = SYNCHRONOUS_COMMIT_OFF;
    SetCurrentStatementStartTimestamp();
    pg::Outcome done = run_own_transaction([&] { claim_rows(n, &claims, out); }, self.batch);
    synchronous_commit = before;
    // The scheduler puts back what an ended worker had popped, and holds the tasks of a role that is gone.
    if (!claims.role_there) proc_exit(0);
    if (!done.ok) pg::log_refusal("pgqueue worker could not claim tasks", done.error);
    static constinit int failures = 0;
    failures = done.ok ? 0 : failures + 1;
    int ours = 0;
    for (int i = 0; i < n; i++) {
        Hold &h = w.holds[i];
        if (done.ok && i < claims.looked_at && claims.claimed[i]) {
            out[ours] = out[i];
            ours++;
            h.state.store(HoldState::Claimed);
            continue;
        }
        if (!done.ok || i >= claims.looked_at) file_again(h, done.ok ? memory::Wait::Locked : memory::Wait::Failed);
        h.state.store(HoldState::None);
        dispatch::end_running(h.queue, h.group);
    }
    // The next tasks would probably fail in the same way.
    if (failures > 0) wait_before_retry(failures - 1);
    return ours;
}

}  // namespace pgqueue::worker::runner
