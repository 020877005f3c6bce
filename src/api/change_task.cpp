// cancel_task, retry_task, and UPDATE and DELETE on the view task. User functions wait for a row's lock.
#include "api/call.hpp"
#include "api/outside.hpp"
#include "api/task_access.hpp"
#include "dispatch/lease.hpp"
#include "handover/actions.hpp"
#include "pg/clock.hpp"
#include "pg/errcodes.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "store/rows_write.hpp"
#include "task/dedup.hpp"
#include "task/outside.hpp"
#include "task/own_run.hpp"
#include "task/requested_end.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

memory::SlotNo worker_of(const store::TaskRow &row) { return dispatch::worker_with(row.pid, row.ref.id, row.receipt); }

Datum status_text(Status s) {
    return PointerGetDatum(cstring_to_text_with_len(word(s).data(), static_cast<int>(word(s).size())));
}

int64 id_arg(FunctionCallInfo fcinfo) {
    not_null(fcinfo, 0, "id");
    int64 id = PG_GETARG_INT64(0);
    if (task::runs_here(id))
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("a running task cannot do this to itself"),
                errdetail("Task " INT64_FORMAT " runs in this session.", id));
    return id;
}

}  // namespace

PGQ_FUNCTION(pgqueue_cancel_task) {
    check_call("cancel_task", true);
    char *reason = text_arg(fcinfo, 1);
    if (!PG_ARGISNULL(0))
        if (task::OwnRun *run = own_run_of(PG_GETARG_INT64(0), text_arg(fcinfo, 3)))
            PG_RETURN_DATUM(status_text(task::ask(run, {task::Ending::What::Cancelled, reason, 0, false, nullptr})));
    int64 id = id_arg(fcinfo);
    bool force = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
    store::TaskRow row;
    if (!store::find(id, false, &row)) no_task(id);
    // For a task that runs in the server, only signals its worker, and leaves the row to it.
    memory::SlotNo worker = row.status == Status::Retained ? worker_of(row) : -1;
    task::QueueRef queue;
    if (worker >= 0) {
        require_access(row, text_arg(fcinfo, 3), Access::ManageOrOwn);
    } else {
        queue = lock_task(&row, text_arg(fcinfo, 3), Access::ManageOrOwn);
        if (!is_unfinished(row.status)) PG_RETURN_DATUM(status_text(row.status));
        if (row.status == Status::Retained) worker = worker_of(row);
    }
    if (worker >= 0) {
        handover::cancel_at_commit(worker, {id, row.attempt, force, reason});
        PG_RETURN_DATUM(status_text(row.status));
    }
    if (row.status == Status::Retained) {
        task::end_held(queue, &row, {task::Ending::What::Cancelled, reason, 0, false, nullptr});
        PG_RETURN_DATUM(status_text(row.status));
    }
    pg::ErrorReport error;
    if (reason != nullptr) {
        error.sqlstate = ERRCODE_QUERY_CANCELED;
        error.message = reason;
    }
    task::end_waiting(queue, &row, Status::Cancelled, error, GetCurrentTimestamp(), store::Wait::Block);
    PG_RETURN_DATUM(status_text(row.status));
}

PGQ_FUNCTION(pgqueue_retry_task) {
    check_call("retry_task", true);
    int64 id = id_arg(fcinfo);
    int64 delay = interval_arg(fcinfo, 1, "delay", 0);
    store::TaskRow row;
    if (!store::find(id, false, &row)) no_task(id);
    const task::QueueRef queue = lock_task(&row, text_arg(fcinfo, 2), Access::ManageOrOwn);
    refuse_system(store::namespace_there(queue.info->ns_id));
    if (row.status == Status::Retained || row.status == Status::Released)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("task " INT64_FORMAT " is %s and cannot be retried", id, word(row.status).data()),
                row.status == Status::Retained ? errhint("Cancel it first, or wait for its end.")
                                               : errhint("Create a new task."));
    TimestampTz now = GetCurrentTimestamp();
    if (int64 holder = task::revive(queue, queue, &row, delay > 0 ? pg::later(now, delay) : 0, now); holder != 0)
        task::raise_key_taken(row, holder);
    PG_RETURN_DATUM(status_text(row.status));
}

namespace {

enum UpdateArg {
    u_id,
    u_priority,
    u_delayed_at,
    u_dies_at,
    u_retries,
    u_payload,
    u_headers,
    u_group_key,
    u_queue,
    u_which
};

bool wants(FunctionCallInfo fcinfo, const char *column) {
    if (PG_ARGISNULL(u_which)) return false;
    Datum *items;
    int n;
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(u_which), TEXTOID, -1, false, TYPALIGN_INT, &items, nullptr, &n);
    for (int i = 0; i < n; i++)
        if (strcmp(TextDatumGetCString(items[i]), column) == 0) return true;
    return false;
}

void refuse_retained(const store::TaskRow &row) {
    if (row.status == Status::Retained)
        ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE), errmsg("task " INT64_FORMAT " is retained", row.ref.id),
                errhint("Cancel it first, or wait for its end."));
}

void set_columns(FunctionCallInfo fcinfo, store::TaskRow *row) {
    if (wants(fcinfo, "priority"))
        row->priority = (not_null(fcinfo, u_priority, "priority"), PG_GETARG_INT32(u_priority));
    if (wants(fcinfo, "delayed_at"))
        row->delayed_at = PG_ARGISNULL(u_delayed_at) ? 0 : moment_arg(fcinfo, u_delayed_at, "delayed_at");
    if (wants(fcinfo, "dies_at")) row->dies_at = PG_ARGISNULL(u_dies_at) ? 0 : moment_arg(fcinfo, u_dies_at, "dies_at");
    if (wants(fcinfo, "retries")) {
        not_null(fcinfo, u_retries, "retries");
        row->retries = checked_range("retries", PG_GETARG_INT32(u_retries), 0, 32767);
    }
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_update_task) {
    check_call("UPDATE of pgqueue.task", true);
    int64 id = id_arg(fcinfo);
    store::TaskRow row;
    if (!store::find(id, false, &row)) PG_RETURN_BOOL(false);
    const task::QueueRef from = lock_task(&row, nullptr, Access::Manage);
    refuse_retained(row);
    refuse_system(store::namespace_there(from.info->ns_id));
    if ((row.flags & flags_own_work) != 0 && (wants(fcinfo, "payload") || wants(fcinfo, "headers")) &&
        !is_mine(row.role_id))
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                errmsg("permission denied for the payload of task " INT64_FORMAT, id),
                errdetail("It runs as another role."), errhint("Cancel it and create another one."));
    const store::TaskRow before = row;
    set_columns(fcinfo, &row);
    task::QueueRef to = from;
    if (wants(fcinfo, "queue")) {
        to = task::ref_of(find_queue(store::namespace_there(from.info->ns_id), text_arg(fcinfo, u_queue)));
        row.queue_id = to.info->id;
    }
    store::update(&row, nullptr, store::Wait::Block);
    store::BodyChange body{};
    body.set_group_key = wants(fcinfo, "group_key");
    if (body.set_group_key) {
        if (!PG_ARGISNULL(u_group_key)) body.group_key = checked_key(PG_GETARG_TEXT_PP(u_group_key), "group_key");
        row.group = store::hash_of_group(body.group_key);
    }
    body.set_payload = wants(fcinfo, "payload");
    body.set_headers = wants(fcinfo, "headers");
    if (body.set_payload && !PG_ARGISNULL(u_payload)) body.payload = PG_GETARG_JSONB_P(u_payload);
    if (body.set_headers && !PG_ARGISNULL(u_headers)) body.headers = PG_GETARG_JSONB_P(u_headers);
    if (body.set_payload || body.set_headers || body.set_group_key) store::update_body(&row, body);
    task::announce({.from_queue = from, .to_queue = to, .from = &before, .to = &row});
    bool moved = row.queue_id != before.queue_id || row.group != before.group;
    if (is_waiting(row.status)) task::hint_again(to, row, moved ? memory::Arrival::Behind : memory::Arrival::InPlace);
    PG_RETURN_BOOL(true);
}

PGQ_FUNCTION(pgqueue_internal_delete_task) {
    check_call("DELETE from pgqueue.task", true);
    int64 id = id_arg(fcinfo);
    store::TaskRow row;
    if (!store::find(id, false, &row)) PG_RETURN_BOOL(false);
    const task::QueueRef queue = lock_task(&row, nullptr, Access::Manage);
    refuse_retained(row);
    const store::TaskRow before = row;
    store::remove(&row);
    task::announce({.from_queue = queue, .to_queue = queue, .from = &before, .to = nullptr});
    PG_RETURN_BOOL(true);
}
