// Tasks that have become due, and ready tasks that have expired.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/due.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/ready_ttl.hpp"
#include "dispatch/waiters.hpp"
#include "memory/wake.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/row_lock.hpp"
#include "task/transitions.hpp"

namespace pgqueue::worker::scheduler {
namespace {

constexpr int due_batch = 256;
constexpr int expire_batch = 1024;

// Files a task with a group key for another check, at its expiry or after a while. The entry of its group forgets the
// expiry once it is reported.
void recheck(const store::TaskRow &row, memory::Wait wait) {
    const SlotNo queue = row.group != 0 ? task::queue_of(row).slot : -1;
    if (queue < 0) return;
    memory::DueEntry entry{row.dies_at, row.dies_at, row.ref, memory::grouped_due(queue), row.priority};
    bool timed = wait == memory::Wait::None;
    bool ok = timed ? dispatch::add_due(self.db, entry) : dispatch::put_off(self.db, wait, entry);
    if (!ok) my_db().reading.lost.store(memory::Lost::Full);
}

// Ends a task if it has expired. Returns when it expires by its row (INT64_MAX never), 0: it does not wait any more, or
// dies_unknown.
int64 expire_one(const TaskRef &ref, TimestampTz now) {
    store::TaskRow row;
    // Usually the row need not be locked to see that the task has not expired.
    if (store::fetch(ref, false, &row) && is_waiting(row.status) && row.dies_at > now) {
        recheck(row, memory::Wait::None);
        return row.dies_at;
    }
    store::Locked locked = task::lock_row(ref, store::Wait::Skip, false, &row);
    if (locked == store::Locked::ByOther) {
        if (store::fetch(ref, false, &row)) recheck(row, memory::Wait::Failed);
        return dispatch::dies_unknown;
    }
    if (locked == store::Locked::Gone || !is_waiting(row.status)) return 0;
    const task::QueueRef queue = task::queue_of(row);
    if (row.dies_at != 0 && row.dies_at <= now)
        return task::end_waiting(queue, &row, Status::Expired, {}, now, store::Wait::Skip) ? 0 : dispatch::dies_unknown;
    task::let_go(queue, row);
    return row.dies_at != 0 ? row.dies_at : INT64_MAX;
}

// Handles a task that expires before it is due. Its row decides. A task with a new dies_at has another hint, too.
void look_at_end(const memory::DueEntry &e, TimestampTz now) {
    store::TaskRow row;
    store::Locked locked = task::lock_row(e.ref, store::Wait::Skip, false, &row);
    if (locked == store::Locked::ByOther) {
        if (!dispatch::put_off(self.db, memory::Wait::Failed, e)) my_db().reading.lost.store(memory::Lost::Full);
    } else if (locked == store::Locked::Yes && is_waiting(row.status) && row.dies_at != 0 && row.dies_at <= now) {
        task::end_waiting(task::queue_of(row), &row, Status::Expired, {}, now, store::Wait::Skip);
    } else if (locked == store::Locked::Yes) {
        task::let_go(task::queue_of(row), row);
    }
}

bool is_over(const memory::DueEntry &e, TimestampTz now) { return e.dies != 0 && e.dies <= now; }

// Handles the due entry of a task with a group key, or of its group. Its row decides.
void look_at_grouped(const memory::DueEntry &e, TimestampTz now) {
    SlotNo queue = memory::queue_of_grouped(e);
    store::TaskRow row;
    // It only waits for its expiry, and blocks no other task of its group.
    bool for_end = e.due == e.dies;
    if (!store::fetch(e.ref, false, &row)) {
        if (!for_end) dispatch::leave_group(queue, 0, e.ref.id);
        return;
    }
    if (for_end && !is_waiting(row.status)) return;
    const task::QueueRef q = task::queue_of(row);
    if (q.info == nullptr || !is_waiting(row.status) || q.slot != queue) {
        dispatch::leave_group(queue, row.group, e.ref.id);
        return;
    }
    if (row.dies_at != 0 && row.dies_at <= now) {
        expire_one(e.ref, now);
        return;
    }
    memory::Hint hint;
    if (!task::hint_of(q, row, q.info->group_pass ? memory::Arrival::Behind : memory::Arrival::InPlace, &hint)) return;
    if (hint.due <= now) hint.due = 0;
    dispatch::enqueue(hint);
}

// Handles a task whose queue's executor has changed since it was filed. Its row decides where it belongs.
void look_at_moved(const memory::DueEntry &e, TimestampTz now) {
    store::TaskRow row;
    memory::Hint hint;
    if (!store::fetch(e.ref, false, &row) || !is_waiting(row.status)) return;
    if (!task::hint_of(task::queue_of(row), row, memory::Arrival::Behind, &hint)) return;
    if (hint.due <= now) hint.due = 0;
    dispatch::enqueue(hint);
}

// Returns whether the row of a due task has to be read.
bool needs_row(const memory::DueEntry &e, TimestampTz now) {
    return memory::is_grouped(e) || is_over(e, now) || memory::map.queues[memory::map.lanes[e.lane].queue].rows_decide;
}

void look_at_due(const memory::DueEntry &e, TimestampTz now) {
    if (memory::is_grouped(e))
        look_at_grouped(e, now);
    else if (is_over(e, now))
        look_at_end(e, now);
    else
        look_at_moved(e, now);
}

void move_to_lane(const memory::DueEntry &e) {
    dispatch::enqueue({e.ref, e.lane, e.priority, 0, e.dies, 0, memory::Arrival::Behind});
    SlotNo role = memory::map.lanes[e.lane].role;
    if (role >= 0)
        memory::wake_idle_workers(self.db, role, 1);
    else
        dispatch::wake_task_waiters(memory::map.lanes[e.lane].queue, 1);
}

// A turn, and what it has done. Other duties must not wait longer than its limits.
struct Turn {
    const pg::Moment &now;
    const int64 began = pg::monotonic_now();
    int tasks = 0, rows = 0, failures = 0;  // rows: tasks whose row had to be read

    bool is_over() const {
        constexpr int most_tasks = 16384, most_rows = 1024;
        constexpr int64 longest = 50 * 1000;
        return tasks >= most_tasks || rows >= most_rows || pg::monotonic_now() - began > longest;
    }
};

bool is_of_dropped(const memory::DueEntry &e) {
    SlotNo queue = memory::is_grouped(e) ? memory::queue_of_grouped(e) : memory::map.lanes[e.lane].queue;
    return memory::is_dropped(memory::map.queues[queue]);
}

// Files tasks whose time has come. Tasks that need no row go first.
void handle(Turn *turn, memory::DueEntry *batch, int n) {
    constexpr int most_failures = 8;
    auto again = [&](int i) {
        if (!dispatch::put_off(self.db, memory::Wait::Failed, batch[i])) my_db().reading.lost.store(memory::Lost::Full);
    };
    int rows = 0;
    for (int i = 0; i < n; i++) {
        if (is_of_dropped(batch[i])) continue;
        if (needs_row(batch[i], turn->now.wall))
            batch[rows++] = batch[i];
        else
            move_to_lane(batch[i]);
    }
    turn->tasks += n;
    turn->rows += rows;
    // After some failures the others are left for later. Tasks that need no row continue.
    if (turn->failures < most_failures)
        turn->failures += transact_each(
            "look at tasks whose time has come", rows, [&](int i) { look_at_due(batch[i], turn->now.wall); }, again);
    else
        for (int i = 0; i < rows; i++) again(i);
}

// Handles what has arrived, of each namespace in turn. Each call begins with another one.
void handle_arrived(Turn *turn) {
    static constinit uint32 calls = 0;
    auto *waiting = static_cast<SlotNo *>(
        MemoryContextAlloc(self.scratch, sizeof(SlotNo) * static_cast<Size>(memory::map.shared->n_namespaces)));
    int n = 0;
    memory::each_namespace(self.db, [&](SlotNo ns) {
        if (dispatch::has_arrived(ns)) waiting[n++] = ns;
    });
    if (n == 0) return;
    memory::DueEntry batch[due_batch];
    const int each = Max(due_batch / n, 16);
    int next = static_cast<int>(calls++ % static_cast<uint32>(n));
    for (int idle = 0; idle < n && !turn->is_over(); next = (next + 1) % n) {
        int taken = dispatch::take_arrived(waiting[next], batch, each);
        idle = taken == 0 ? idle + 1 : 0;
        handle(turn, batch, taken);
    }
}

}  // namespace

pg::Deadline move_due(const pg::Moment &now) {
    constexpr int most_moved = 128 * 1024;
    Turn turn{now};
    memory::DueEntry batch[due_batch];
    for (int moved = 0, n, unsorted; moved < most_moved; moved += n) {
        n = dispatch::arrive(self.db, now, due_batch, batch, &unsorted);
        if (n == 0) break;
        handle(&turn, batch, unsorted);
    }
    handle_arrived(&turn);
    return dispatch::next_due(self.db, now);
}

namespace {

// Ready tasks that may have expired. The groups report each once, so they stay here until their rows are read. If the
// process ends before, all rows are read again.
struct Expired {
    dispatch::MayBeExpired tasks[expire_batch];
    int n;
    pg::Deadline again;  // after a failure
};
constinit Expired expired{};

// Ends expired tasks, and removes them from the lists. Those that fail come last the next time.
void end_expired(const pg::Moment &now) {
    auto *failed = static_cast<dispatch::MayBeExpired *>(
        MemoryContextAlloc(self.scratch, sizeof(dispatch::MayBeExpired) * expire_batch));
    int n = 0;
    transact_each(
        "expire tasks", expired.n, [&](int i) { expired.tasks[i].dies = expire_one(expired.tasks[i].ref, now.wall); },
        [&](int i) {
            expired.tasks[i].dies = dispatch::dies_unknown;
            failed[n] = expired.tasks[i];
            failed[n++].page = 0;
        });
    dispatch::remove_ended(expired.tasks, expired.n);
    for (int i = 0; i < n; i++) expired.tasks[i] = failed[i];
    expired.n = n;
    if (n > 0) expired.again = now.in(dispatch::length_of(memory::Wait::Failed));
}

}  // namespace

bool owes_expiry() { return expired.n > 0; }

pg::Deadline expire(const pg::Moment &now) {
    int collected = 0;
    if (expired.again.passed(now) && (expired.n > 0 || dispatch::next_expiry(self.db) <= now.wall)) {
        if (int room = expire_batch - expired.n; room > 0)
            collected = dispatch::collect_expired(self.db, now.wall, expired.tasks + expired.n, room);
        expired.n += collected;
        end_expired(now);
    }
    if (expired.n > 0) return expired.again;
    // If the room was not enough, the others follow in the next turn.
    pg::Deadline next = now.until(dispatch::next_expiry(self.db));
    return next.passed(now) ? now.in(collected > 0 ? 0 : USECS_PER_SEC) : next;
}

}  // namespace pgqueue::worker::scheduler
