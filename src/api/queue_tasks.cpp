// The management of queues and their tasks: redrive, purge and delete. Called by the bodies in pgqueue_internal, which
// have checked the rights.
#include "api/call.hpp"

#include "dispatch/lease.hpp"
#include "handover/actions.hpp"
#include "handover/counts.hpp"
#include "pg/clock.hpp"
#include "pg/guards.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_write.hpp"
#include "task/row_lock.hpp"
#include "task/transitions.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

// Gives a failed task a fresh run in the queue where it failed, and returns 0. NULL: it is not failed any more, or
// another transaction holds it. Otherwise the id of the unfinished task that has its dedup key.
PGQ_FUNCTION(pgqueue_internal_redrive_task) {
    int64 id = PG_GETARG_INT64(0);
    int64 delay = micros_of(PG_GETARG_INTERVAL_P(1));
    store::TaskRow row;
    if (task::lock_row(id, store::Wait::Skip, false, &row) != store::Locked::Yes) PG_RETURN_NULL();
    const task::QueueRef queue = task::queue_of(row);
    task::let_go(queue, row);
    if (row.status != Status::Failed) PG_RETURN_NULL();
    const store::QueueInfo *origin = row.origin_queue_id != 0 ? store::queue_by_id(row.origin_queue_id) : nullptr;
    const task::QueueRef to = origin != nullptr ? task::ref_of(*origin) : queue;
    if (to.info == nullptr) PG_RETURN_NULL();
    TimestampTz now = GetCurrentTimestamp();
    PG_RETURN_INT64(task::revive(queue, to, &row, delay > 0 ? pg::later(now, delay) : 0, now));
}

namespace {

// Calls f with each task of a queue that outside workers and workers hold, as shared memory knows them.
template <typename F>
void each_held(memory::SlotNo slot, F f) {
    for (memory::SlotNo i = 0; i < memory::map.shared->n_leases; i++) {
        memory::Lease l;
        int64 id = memory::map.leases[i].id;
        if (id != 0 && dispatch::find_lease(id, &l) && l.queue == slot) f(l.id);
    }
    for (memory::WorkerSlot &w : memory::map.shared->workers) {
        if (w.db < 0 || w.db != memory::map.queues[slot].db) continue;
        for (int h = 0; h < Min(w.n_holds.load(), memory::max_batch); h++)
            if (w.holds[h].queue == slot && w.holds[h].state.load() != memory::HoldState::None) f(w.holds[h].ref.id);
    }
}

// Gives the queue's row a new id. The tasks under the old id belong to no queue, and are removed with their segments.
int32 rename_key(int32 old_id) {
    Oid types[1] = {INT4OID};
    Datum values[1] = {Int32GetDatum(old_id)};
    pg::SpiSession spi;
    SPI_execute_with_args(
        "UPDATE pgqueue_internal.queue SET id = "
        "pg_catalog.nextval(pg_catalog.pg_get_serial_sequence('pgqueue_internal.queue', 'id')) WHERE id = $1 RETURNING "
        "id",
        1, types, values, nullptr, false, 1);
    bool isnull = true;
    Datum id = SPI_processed == 1 ? SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull) : Datum(0);
    if (isnull) ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("queue does not exist"));
    return DatumGetInt32(id);
}

// Returns the counts of a queue as seen now, including own changes.
int64 count_of(memory::SlotNo slot, Status s) {
    return memory::map.queues[slot].counts[static_cast<int>(s)].load() + handover::own_count(slot, static_cast<int>(s));
}

}  // namespace

// The rows are removed with their segments, as nothing refers to them once the queue's row is gone. Held tasks are
// cancelled first, if forced.
PGQ_FUNCTION(pgqueue_internal_drop_queue_tasks) {
    const store::QueueInfo *q = store::queue_by_id(PG_GETARG_INT32(0));
    if (q == nullptr || !memory::loaded()) PG_RETURN_INT64(0);
    memory::SlotNo slot = task::ensure_entry(*q);
    if (slot < 0) PG_RETURN_INT64(0);
    int64 all = 0;
    for (int s = 0; s < status_count; s++) all += count_of(slot, static_cast<Status>(s));
    int64 held = count_of(slot, Status::Retained);
    if (held > 0 && !PG_GETARG_BOOL(1))
        ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
                errmsg("queue \"%s\" has %s", q->name, tasks_of(held, "retained")),
                errhint("Wait for them, or use force => true to cancel them."));
    handover::cancel_running_at_commit(slot);
    PG_RETURN_INT64(all);
}

// Removes all tasks of a queue except retained ones, by giving the queue a new id. force: removes these too, and
// cancels what runs. Returns how many.
PGQ_FUNCTION(pgqueue_internal_purge_tasks) {
    int32 old_id = PG_GETARG_INT32(0);
    bool force = PG_GETARG_BOOL(1);
    const store::QueueInfo *q = store::queue_by_id(old_id);
    memory::SlotNo slot = q ? task::ensure_entry(*q) : -1;
    if (slot < 0) PG_RETURN_INT64(0);
    int64 all = 0, kept = 0;
    for (int s = 0; s < status_count; s++) all += count_of(slot, static_cast<Status>(s));
    if (force) handover::cancel_running_at_commit(slot);
    int32 new_id = rename_key(old_id);
    memory::SlotNo new_slot = task::ensure_entry(store::queue_there(new_id));
    each_held(slot, [&](int64 id) {
        store::TaskRow row;
        if (force || task::lock_row(id, store::Wait::Block, false, &row) != store::Locked::Yes) return;
        task::let_go(task::queue_of(row), row);
        if (row.status != Status::Retained || row.queue_id != old_id) return;
        row.queue_id = new_id;
        store::update(&row, nullptr, store::Wait::Block);
        handover::count_at_commit(new_slot, -1, static_cast<int>(Status::Retained), 1);
        handover::move_lease_at_commit(id, new_slot, row.group);
        kept++;
    });
    PG_RETURN_INT64(all - kept);
}
