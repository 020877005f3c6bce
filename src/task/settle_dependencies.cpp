#include "task/settle_dependencies.hpp"

#include "pg/clock.hpp"
#include "pg/errcodes.hpp"
#include "pg/testpoint.hpp"
#include "signal/dependency_posts.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "store/rows_write.hpp"
#include "task/dependencies.hpp"
#include "task/row_lock.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {
namespace {

using Stage = Settling::Stage;

// A task that waits, with its queue. Its row is locked. The queue is looked up once, because it may be deleted
// meanwhile.
struct Waiting {
    QueueRef queue;
    store::TaskRow row;
};

// Makes a task ready that waits for nothing any more.
void make_ready(Waiting *task) {
    const QueueRef &queue = task->queue;
    store::TaskRow *row = &task->row;
    const store::TaskRow before = *row;
    PGQUEUE_TESTPOINT("scheduler-makes-ready");
    row->flags &= static_cast<int16>(~flag_waits);
    store::stop_waiting_for_batch(queue.info->ns_id, row->ref.id);
    if (!store::update(row, nullptr, store::Wait::Skip)) return;
    announce({.from_queue = queue, .to_queue = queue, .from = &before, .to = row});
    hint_again(queue, *row, memory::Arrival::Behind);
}

// Locks a task that may wait. *waits: it does, by its newest version, in a queue that exists. Returns false if another
// transaction holds the row.
bool lock_waiting(int64 id, Waiting *task, bool *waits) {
    const store::TaskRow &row = task->row;
    store::Locked locked = lock_row(id, store::Wait::Skip, false, &task->row);
    task->queue = locked == store::Locked::Yes ? queue_of(row) : QueueRef{};
    *waits = task->queue.info != nullptr && is_waiting(row.status) && (row.flags & flag_waits) != 0;
    if (locked == store::Locked::Yes && !*waits) let_go(task->queue, row);
    return locked != store::Locked::ByOther;
}

// Takes the end of a task that a locked task has waited for. Returns whether that one still waits.
bool take_end(const Settling &s, Waiting *task, int64 awaited, DependencyEnd end, TimestampTz now) {
    store::TaskRow *row = &task->row;
    if (end == DependencyEnd::Good || (row->flags & flag_ignore_failed) != 0) {
        remove_edge(s.namespace_id, awaited, row->ref.id);
        return true;
    }
    if ((row->flags & flag_hold_failed) != 0) return true;
    pg::ErrorReport error{};
    error.sqlstate = err::dependency_failed;
    error.message = psprintf("task " INT64_FORMAT ", which it depends on, did not succeed", awaited);
    end_waiting(task->queue, row, Status::Cancelled, error, now, store::Wait::Skip);
    return false;
}

bool settle_dependent(const Settling &s, int64 id, DependencyEnd end, TimestampTz now) {
    Waiting task;
    bool waits;
    if (!lock_waiting(id, &task, &waits)) return false;
    if (!waits)
        remove_edge(s.namespace_id, s.id, id);
    else if (take_end(s, &task, s.id, end, now) && is_free(s.namespace_id, id))
        make_ready(&task);
    return true;
}

// Makes the task ready if it waits for nothing. Usually no lock is needed to see that it still waits.
bool settle_free(int32 namespace_id, int64 id) {
    Waiting task;
    bool waits;
    if (!is_free(namespace_id, id)) return true;
    if (!lock_waiting(id, &task, &waits)) return false;
    if (waits && is_free(namespace_id, id)) make_ready(&task);
    return true;
}

void go_to(Settling *s, Stage stage) {
    s->stage = stage;
    s->after = 0;
    s->held = false;
}

// Starts a stage after a pause, because another transaction holds a row.
void rest(Settling *s, Stage then) {
    go_to(s, then);
    s->rest = true;
}

// Continues after some rows of a stage. The last rows lead to the next stage.
int go_on(Settling *s, const store::Ids &ids, Stage next) {
    if (ids.count == store::some_rows)
        s->after = ids.items[ids.count - 1];
    else if (s->held)
        rest(s, s->stage);
    else
        go_to(s, next);
    return ids.count + 1;
}

int look(Settling *s) {
    store::TaskRow row;
    const store::QueueInfo *q = store::find(s->id, false, &row) ? live_queue(row.queue_id) : nullptr;
    if (q != nullptr) s->namespace_id = q->ns_id;
    if (s->namespace_id == 0)
        go_to(s, Stage::Done);
    else if (q == nullptr || !is_unfinished(row.status))
        go_to(s, Stage::Dependents);
    else if ((row.flags & flag_waits) == 0) {
        // A process that popped it has met a transaction that failed while it locked the row. Any other task has its
        // hint, and a second one would stay until it is due.
        if (s->lost_hint && is_waiting(row.status)) hint_again(ref_of(*q), row, memory::Arrival::InPlace);
        go_to(s, Stage::Done);
    } else
        go_to(s, s->all_are_seen ? Stage::Free : Stage::Awaited);
    return 1;
}

// Moves the tasks that have ended to the front of `ended`. Returns how many.
int ended_of(store::Ids ids, DependencyEnd *ends, int64 *ended) {
    int n = 0;
    for (int i = 0; i < ids.count; i++) {
        ends[n] = end_of_dependency(ids.items[i], 0);
        if (ends[n] != DependencyEnd::Unfinished) ended[n++] = ids.items[i];
    }
    return n;
}

int settle_awaited(Settling *s, TimestampTz now) {
    store::Ids ids = store::awaited_by(s->namespace_id, s->id, s->after);
    DependencyEnd ends[store::some_rows];
    int64 ended[store::some_rows];
    Waiting task;
    bool waits = true;
    int n = ended_of(ids, ends, ended);
    if (n > 0 && !lock_waiting(s->id, &task, &waits)) {
        rest(s, Stage::Awaited);
        return ids.count;
    }
    for (int i = 0; i < n && waits; i++) waits = take_end(*s, &task, ended[i], ends[i], now);
    if (!waits) {
        // Its own end is announced by the commit.
        go_to(s, Stage::Done);
        return ids.count;
    }
    return go_on(s, ids, Stage::Free);
}

// Makes the task ready if it waits for nothing. If its batch has ended, the other tasks that wait for the batch follow,
// because only one of them was posted.
int settle_self(Settling *s) {
    store::Batch batch = store::awaited_batch(s->namespace_id, s->id);
    if (batch.key != nullptr && !store::batch_is_over(batch)) batch.key = nullptr;
    if (!settle_free(s->namespace_id, s->id)) {
        rest(s, Stage::Free);
        return 1;
    }
    bool others = batch.key != nullptr && !s->all_are_seen;
    if (others) s->batch = batch;
    go_to(s, others ? Stage::Batch : Stage::Done);
    return 1;
}

int settle_dependents(Settling *s, TimestampTz now) {
    store::Ids ids = store::dependents_of(s->namespace_id, s->id, s->after);
    DependencyEnd end = ids.count > 0 ? end_of_dependency(s->id, 0) : DependencyEnd::Unknown;
    if (end == DependencyEnd::Unfinished) {
        // It was retried.
        go_to(s, Stage::Done);
        return 1;
    }
    for (int i = 0; i < ids.count; i++) s->held = !settle_dependent(*s, ids.items[i], end, now) || s->held;
    return go_on(s, ids, Stage::Forget);
}

// Returns whether the task has ended, with this flag in its row, or is gone. Locks the row, so that no process revives
// it meanwhile.
bool has_ended(Settling *s, int16 flag) {
    store::TaskRow row;
    if (!store::find(s->id, false, &row) || live_queue(row.queue_id) == nullptr) return true;
    if ((row.flags & flag) == 0) return false;
    store::Locked locked = lock_row(s->id, store::Wait::Skip, false, &row);
    if (locked == store::Locked::Yes) let_go(queue_of(row), row);
    if (locked != store::Locked::Yes || is_unfinished(row.status)) {
        rest(s, Stage::Look);
        return false;
    }
    return true;
}

int forget(Settling *s) {
    int removed = 0;
    if (has_ended(s, flag_depends)) {
        removed = remove_edges(s->namespace_id, s->id);
        store::stop_waiting_for_batch(s->namespace_id, s->id);
    }
    if (!s->rest && removed < store::some_rows) go_to(s, Stage::Leave);
    return removed + 1;
}

int leave(Settling *s) {
    store::Batch batch{0, nullptr};
    if (has_ended(s, flag_batch)) batch = store::leave_batch(s->namespace_id, s->id);
    if (s->rest) return 1;
    if (batch.key != nullptr) s->batch = batch;
    go_to(s, batch.key != nullptr ? Stage::Batch : Stage::Done);
    return 1;
}

int settle_batch(Settling *s) {
    // Others may be unfinished, or have joined meanwhile.
    if (!store::batch_is_over(s->batch)) {
        go_to(s, Stage::Done);
        return 1;
    }
    store::Ids ids = store::waiters_of(s->batch, s->after);
    for (int i = 0; i < ids.count; i++) s->held = !settle_free(s->namespace_id, ids.items[i]) || s->held;
    return go_on(s, ids, Stage::Done);
}

// Performs one step of a stage. Returns how many rows it has read.
int settle_one(Settling *s, TimestampTz now) {
    switch (s->stage) {
        case Stage::Look: return look(s);
        case Stage::Awaited: return settle_awaited(s, now);
        case Stage::Free: return settle_self(s);
        case Stage::Dependents: return settle_dependents(s, now);
        case Stage::Forget: return forget(s);
        case Stage::Leave: return leave(s);
        case Stage::Batch: return settle_batch(s);
        case Stage::Done: break;
    }
    return 0;
}

// Returns whether the task has just come to a batch, which may have ended.
bool is_at_batch(const Settling &s) { return s.stage == Stage::Batch && s.after == 0 && !s.rest; }

bool same_batch(const Settling &a, const Settling &b) {
    const text *x = a.batch.key, *y = b.batch.key;
    return a.batch.namespace_id == b.batch.namespace_id && VARSIZE_ANY(x) == VARSIZE_ANY(y) &&
           memcmp(x, y, VARSIZE_ANY(x)) == 0;
}

// Whether a batch has ended is asked once, after all of these tasks have left it: the question reads the rows of tasks
// that have left lately. Returns how many rows were read.
int settle_batches(std::span<Settling *const> jobs, TimestampTz now) {
    int rows = 0;
    for (std::size_t i = 0; i < jobs.size(); i++) {
        if (!is_at_batch(*jobs[i])) continue;
        bool followed = false;
        for (const Settling *later : jobs.subspan(i + 1))
            followed = followed || (is_at_batch(*later) && same_batch(*jobs[i], *later));
        if (followed)
            go_to(jobs[i], Stage::Done);
        else
            rows += settle_one(jobs[i], now);
    }
    return rows;
}

}  // namespace

Settled settle(std::span<Settling *const> jobs, int most, TimestampTz now) {
    Settled done{};
    for (; done.jobs < static_cast<int>(jobs.size()) && done.rows < most; done.jobs++) {
        Settling *s = jobs[static_cast<std::size_t>(done.jobs)];
        while (done.rows < most && s->stage != Stage::Done && !s->rest && !is_at_batch(*s)) {
            const bool looks = s->stage == Stage::Look;
            const int64 began = looks ? pg::monotonic_now() : 0;
            done.rows += settle_one(s, now);
            if (looks) done.looked += pg::monotonic_now() - began;
            done.went_on = done.went_on || s->stage != Stage::Done;
        }
    }
    done.rows += settle_batches(jobs.first(static_cast<std::size_t>(done.jobs)), now);
    return done;
}

}  // namespace pgqueue::task
