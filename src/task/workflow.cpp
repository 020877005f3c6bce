#include "task/workflow.hpp"

#include "dispatch/registry.hpp"
#include "dispatch/xact.hpp"
#include "pg/errcodes.hpp"
#include "task/lifecycle.hpp"

namespace pgqueue::task {
namespace {

// The queue unless it was deleted: who deletes it tells shared memory a moment before the cache of the catalog hears of it.
const store::QueueInfo *live_queue(int32 id) {
    const store::QueueInfo *q = store::queue_by_id(id);
    SlotNo db = q && dispatch::loaded() ? dispatch::find_database(MyDatabaseId) : -1;
    return db >= 0 && dispatch::is_queue_dropped(db, id) ? nullptr : q;
}

// Waits for the tasks are over: the row becomes ready. The row is locked.
void make_ready(store::TaskRow *row) {
    const store::TaskRow before = *row;
    row->flags &= static_cast<int16>(~flag_waits);
    store::stop_waiting_for_batch(row->ref.id);
    if (!store::update(row, nullptr, store::Wait::Skip)) return;
    count_unhinted(before, -1);
    hint_again(*row, dispatch::Comes::New);
}

bool is_free(int64 id) {
    if (store::has_edges(id)) return false;
    store::Batch batch = store::awaited_batch(id);
    return batch.key == nullptr || store::batch_is_over(batch);
}

void remove_edge(int64 awaited, int64 task) {
    if (store::remove_edge(awaited, task)) dispatch::note_awaited(awaited, -1);
}

// Locks a task that may wait. `waits`: it does, as its newest version says.
bool lock_waiting(int64 id, store::TaskRow *row, bool *waits) {
    store::Locked locked = store::lock_by_id(id, store::Wait::Skip, false, row);
    *waits = locked == store::Locked::Yes && is_waiting(row->status) && (row->flags & flag_waits) != 0;
    if (locked == store::Locked::Yes && !*waits) let_go(*row);
    return locked != store::Locked::Held;
}

// One end that a locked waiting task has waited for. True: it still waits.
bool take_end(store::TaskRow *row, int64 awaited, DependencyEnd end, TimestampTz now) {
    if (end == DependencyEnd::Good || (row->flags & flag_ignore_failed) != 0) {
        remove_edge(awaited, row->ref.id);
        return true;
    }
    if ((row->flags & flag_hold_failed) != 0) return true;
    pg::ErrorReport error{};
    error.sqlstate = err::dependency_failed;
    error.message = psprintf("task " INT64_FORMAT ", which it depends on, did not succeed", awaited);
    end_waiting(row, Status::Cancelled, error, now, store::Wait::Skip);
    return false;
}

bool settle_dependent(int64 id, int64 awaited, DependencyEnd end, TimestampTz now) {
    store::TaskRow row;
    bool waits;
    if (!lock_waiting(id, &row, &waits)) return false;
    if (!waits)
        remove_edge(awaited, id);
    else if (take_end(&row, awaited, end, now) && is_free(id))
        make_ready(&row);
    return true;
}

// Looks at everything that a waiting task waits for.
bool settle_waiting(int64 id, TimestampTz now) {
    store::TaskRow row;
    bool waits;
    if (!lock_waiting(id, &row, &waits)) return false;
    if (!waits) return true;
    store::Ids ids = store::awaited_by(id);
    for (int i = 0; i < ids.count; i++) {
        CHECK_FOR_INTERRUPTS();
        DependencyEnd end = end_of_dependency(ids.items[i], 0);
        if (end != DependencyEnd::Unfinished && !take_end(&row, ids.items[i], end, now)) return true;
    }
    if (is_free(id)) make_ready(&row);
    return true;
}

void forget_edges(int64 id) {
    store::Ids ids = store::remove_edges(id);
    for (int i = 0; i < ids.count; i++) dispatch::note_awaited(ids.items[i], -1);
    store::stop_waiting_for_batch(id);
}

// The task is no member of its batch any more; who waits for the batch may be free.
bool leave_batch(int64 id, TimestampTz now) {
    store::Batch batch = store::leave_batch(id);
    if (batch.key == nullptr || !store::batch_is_over(batch)) return true;
    bool all = true;
    store::Ids ids = store::waiters_of(batch);
    for (int i = 0; i < ids.count; i++) all = settle_waiting(ids.items[i], now) && all;
    return all;
}

}  // namespace

DependencyEnd end_of_dependency(int64 id, int32 namespace_id) {
    store::TaskRow row;
    const store::QueueInfo *q = store::find(id, false, &row) ? live_queue(row.queue_id) : nullptr;
    if (q != nullptr && (namespace_id == 0 || q->ns_id == namespace_id))
        return is_unfinished(row.status) ? DependencyEnd::Unfinished : row.status == Status::Released ? DependencyEnd::Good : DependencyEnd::Bad;
    bool released;
    int32 archived = q == nullptr ? store::archived_in(id, &released) : 0;
    if (archived == 0 || (namespace_id != 0 && archived != namespace_id)) return DependencyEnd::Unknown;
    return released ? DependencyEnd::Good : DependencyEnd::Bad;
}

void begin_waiting(const Workflow &w, std::span<const store::NewTask> tasks) {
    if (tasks.empty() || (w.awaited.empty() && w.batch_key == nullptr && w.awaits_batch == nullptr)) return;
    auto *ids = static_cast<int64 *>(palloc_extended(sizeof(int64) * tasks.size(), MCXT_ALLOC_HUGE));
    for (std::size_t i = 0; i < tasks.size(); i++) ids[i] = tasks[i].id;
    std::span<const int64> all{ids, tasks.size()};
    if (w.batch_key != nullptr) store::join_batch(all, {w.namespace_id, w.batch_key});
    if (w.awaits_batch != nullptr) store::wait_for_batch(all, {w.namespace_id, w.awaits_batch});
    if (!w.awaited.empty()) store::add_edges(all, w.awaited);
    for (int64 id : w.awaited) dispatch::note_awaited(id, static_cast<int32>(tasks.size()));
    if (w.awaits_batch != nullptr || !w.awaited.empty())
        for (int64 id : all) dispatch::note_settle(id);
}

void wait_again(store::TaskRow *row) {
    int64 id = row->ref.id;
    store::TaskRow body;
    if (!store::fetch(row->ref, true, &body)) return;
    store::Batch joined{0, body.batch_key};
    const store::QueueInfo *q = store::queue_by_id(row->queue_id);
    if ((row->flags & flag_batch) != 0 && q != nullptr && joined.key != nullptr) {
        joined.namespace_id = q->ns_id;
        store::join_batch({&id, 1}, joined);
    }
    if ((row->flags & flag_depends) == 0) return;
    store::Ids old = store::awaited_by(id);
    for (int i = 0; i < old.count; i++)
        if (end_of_dependency(old.items[i], 0) != DependencyEnd::Unfinished) remove_edge(old.items[i], id);
    Datum *items = nullptr;
    int n = 0;
    if (body.depends_on != nullptr) deconstruct_array(body.depends_on, INT8OID, 8, true, TYPALIGN_DOUBLE, &items, nullptr, &n);
    for (int i = 0; i < n; i++) {
        int64 awaited = DatumGetInt64(items[i]);
        if (end_of_dependency(awaited, 0) != DependencyEnd::Unfinished) continue;
        store::add_edges({&id, 1}, {&awaited, 1});
        dispatch::note_awaited(awaited, 1);
    }
    if (is_free(id)) {
        row->flags &= static_cast<int16>(~flag_waits);
        store::stop_waiting_for_batch(id);
    } else {
        row->flags |= flag_waits;
        dispatch::note_settle(id);
    }
}

bool settle(int64 id, TimestampTz now) {
    store::TaskRow row;
    bool there = store::find(id, false, &row) && live_queue(row.queue_id) != nullptr;
    if (there && is_unfinished(row.status)) return (row.flags & flag_waits) == 0 || settle_waiting(id, now);
    if (there && (row.flags & (flag_depends | flag_batch)) != 0) {
        // Not while retry_task brings it back.
        store::Locked locked = store::lock_by_id(id, store::Wait::Skip, false, &row);
        if (locked == store::Locked::Yes) let_go(row);
        if (locked != store::Locked::Yes || is_unfinished(row.status)) return false;
    }
    bool all = true;
    store::Ids ids = store::dependents_of(id);
    DependencyEnd end = ids.count > 0 ? end_of_dependency(id, 0) : DependencyEnd::Unknown;
    for (int i = 0; i < ids.count && end != DependencyEnd::Unfinished; i++) all = settle_dependent(ids.items[i], id, end, now) && all;
    if (!there || (row.flags & flag_batch) != 0) all = leave_batch(id, now) && all;
    if (!there || (row.flags & flag_depends) != 0) forget_edges(id);
    return all;
}

}  // namespace pgqueue::task
