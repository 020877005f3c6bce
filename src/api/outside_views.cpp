// Outside workers in the views: which tasks they hold, which sessions wait for a task, and whether the reader of a row
// holds it. Here too only rows that the caller may see are made: a comparison of the caller may come before a condition
// of the view.
#include "api/call.hpp"
#include "api/outside.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/waiters.hpp"
#include "memory/registry.hpp"
#include "pg/guards.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

enum Column {
    c_worker,
    c_pid,
    c_role,
    c_namespace,
    c_queue,
    c_task,
    c_type,
    c_attempt,
    c_state,
    c_since,
    c_lease_until,
    columns
};

struct Row {
    Datum values[columns] = {};
    bool nulls[columns];

    Row() { memset(nulls, true, sizeof(nulls)); }
    void set(Column c, Datum value) {
        values[c] = value;
        nulls[c] = false;
    }
    void set_text(Column c, const char *value) {
        if (value != nullptr) set(c, CStringGetTextDatum(value));
    }
    void put(ReturnSetInfo *info) { tuplestore_putvalues(info->setResult, info->setDesc, values, nulls); }
};

// A task that an outside worker holds. A retain that is not committed shows only to its own session.
void put_holder(ReturnSetInfo *info, const memory::Lease &lease) {
    const memory::Queue &queue = memory::map.queues[lease.queue];
    const int32 ns_id = memory::map.namespaces[queue.ns].ns_id;
    if (!may(ns_id, store::priv_look)) return;
    store::TaskRow task;
    if (!store::fetch(lease.ref, false, &task) || task.status != Status::Retained || task.receipt != lease.receipt)
        return;
    Row row;
    row.set_text(c_worker, store::worker_name(task));
    if (lease.session != 0) row.set(c_pid, Int32GetDatum(lease.session));
    if (OidIsValid(lease.role)) row.set(c_role, ObjectIdGetDatum(lease.role));
    row.set(c_namespace, Int32GetDatum(ns_id));
    row.set(c_queue, Int32GetDatum(queue.queue_id));
    row.set(c_task, Int64GetDatum(lease.id));
    row.set_text(c_type, store::fetch_type(task.ref));
    row.set(c_attempt, Int32GetDatum(task.attempt));
    row.set_text(c_state, "running");
    row.set(c_since, TimestampTzGetDatum(task.started_at));
    // A lease that ends only with its session has an entry until dies_at.
    if (task.lease_until != 0) row.set(c_lease_until, TimestampTzGetDatum(lease.time.until));
    row.put(info);
}

// A session in CALL wait_for_task. Its worker name is unknown before it takes a task.
void put_waiter(ReturnSetInfo *info, const memory::TaskWaiter &waiter) {
    const int32 ns_id = memory::map.namespaces[waiter.ns].ns_id;
    if (!may(ns_id, store::priv_look)) return;
    Row row;
    row.set(c_pid, Int32GetDatum(waiter.pid));
    row.set(c_role, ObjectIdGetDatum(waiter.role));
    row.set(c_namespace, Int32GetDatum(ns_id));
    if (waiter.n_queues == 1) row.set(c_queue, Int32GetDatum(memory::map.queues[waiter.queues[0]].queue_id));
    row.set_text(c_state, "waiting");
    row.set(c_since, TimestampTzGetDatum(waiter.since));
    row.put(info);
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_outside_workers) {
    InitMaterializedSRF(fcinfo, 0);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    memory::SlotNo db = memory::loaded() ? memory::find_database(MyDatabaseId) : -1;
    if (db < 0) return Datum(0);
    MemoryContext scratch =
        AllocSetContextCreate(CurrentMemoryContext, "pgqueue outside workers", ALLOCSET_DEFAULT_SIZES);
    pg::MemoryScope scope(scratch);
    for (memory::SlotNo i = 0; i < memory::map.shared->n_leases; i++) {
        memory::Lease lease;
        if (!dispatch::read_lease(i, db, &lease)) continue;
        put_holder(info, lease);
        MemoryContextReset(scratch);
        CHECK_FOR_INTERRUPTS();
    }
    for (int i = 0; i < memory::max_task_waiters; i++) {
        memory::TaskWaiter waiter;
        if (dispatch::read_waiter(i, db, &waiter)) put_waiter(info, waiter);
    }
    return Datum(0);
}

namespace {

// Returns whether the caller holds the task with this receipt.
bool is_held(int64 id, int64 receipt) {
    memory::Lease lease;
    if (!memory::loaded() || !dispatch::find_lease(id, &lease) || lease.receipt != receipt) return false;
    if (memory::database(lease.db).oid != MyDatabaseId) return false;
    return is_lease_of_session(lease) || (OidIsValid(lease.role) && has_privs_of_role(caller(), lease.role));
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_is_held) { PG_RETURN_BOOL(is_held(PG_GETARG_INT64(0), PG_GETARG_INT64(1))); }

namespace {

// A queue that is gone, and that the query still sees.
struct GoneQueue {
    int32 id, ns_id;  // ns_id 0: it sees no such queue
};

// Returns the namespace of a row's queue; 0: there is none. A query whose snapshot is older than a purge or the
// deletion of a queue sees the queue's tasks still.
int32 namespace_in_query(FmgrInfo *call, int32 queue_id) {
    auto *gone = static_cast<GoneQueue *>(call->fn_extra);
    if (gone != nullptr && gone->id == queue_id) return gone->ns_id;
    if (const store::QueueInfo *queue = store::queue_by_id(queue_id)) return queue->ns_id;
    if (gone == nullptr)
        call->fn_extra = gone = static_cast<GoneQueue *>(MemoryContextAlloc(call->fn_mcxt, sizeof(GoneQueue)));
    *gone = {queue_id, store::namespace_of_queue(queue_id, GetActiveSnapshot())};
    return gone->ns_id;
}

}  // namespace

// Whether the caller may see the row of a task: all of the namespace, its own, or those in its hands.
PGQ_FUNCTION(pgqueue_internal_may_see_task) {
    const int32 ns_id = namespace_in_query(fcinfo->flinfo, PG_GETARG_INT32(0));
    if (ns_id == 0) PG_RETURN_BOOL(false);
    if (may(ns_id, store::priv_look)) PG_RETURN_BOOL(true);
    if (may(ns_id, store::priv_use) && is_mine(PG_GETARG_INT32(1))) PG_RETURN_BOOL(true);
    const bool retained = PG_GETARG_INT16(2) == static_cast<int16>(Status::Retained);
    PG_RETURN_BOOL(retained && may(ns_id, store::priv_work) && is_held(PG_GETARG_INT64(3), PG_GETARG_INT64(4)));
}

// The same for a task in the archive, whose role may be NULL.
PGQ_FUNCTION(pgqueue_internal_may_see_archived) {
    if (PG_ARGISNULL(0)) PG_RETURN_BOOL(false);
    const int32 ns_id = PG_GETARG_INT32(0);
    if (may(ns_id, store::priv_look)) PG_RETURN_BOOL(true);
    PG_RETURN_BOOL(!PG_ARGISNULL(1) && may(ns_id, store::priv_use) && is_mine(PG_GETARG_INT32(1)));
}

PGQ_FUNCTION(pgqueue_internal_may_see_statistics) {
    const int32 ns_id = namespace_in_query(fcinfo->flinfo, PG_GETARG_INT32(0));
    PG_RETURN_BOOL(ns_id != 0 && may(ns_id, store::priv_look));
}

// Its argument: see sql/04_checks.sql.
PGQ_FUNCTION(pgqueue_internal_shown) { PG_RETURN_DATUM(PG_GETARG_DATUM(0)); }
