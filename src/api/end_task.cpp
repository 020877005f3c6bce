// release, fail, extend and snooze, of one task or of many: a caller with the receipt ends the attempt.
#include "api/call.hpp"
#include "api/outside.hpp"
#include "api/task_access.hpp"
#include "dispatch/lease.hpp"
#include "pg/errcodes.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "task/outside.hpp"
#include "task/own_run.hpp"
#include "task/requested_end.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

// A task, and the caller's proof of holding it.
struct Claim {
    int64 id;
    bool receipt_given;
    int64 receipt;
    const char *ns_name;
    bool skip_lost;
};

// Returns the given receipt, or that of the session's own lease.
int64 receipt_of(const Claim &c) {
    if (c.receipt_given) return c.receipt;
    memory::Lease lease;
    return dispatch::find_lease(c.id, &lease) && is_lease_of_session(lease) ? lease.receipt : 0;
}

// Locks the row of a task that this caller holds, and returns its queue in *queue. Otherwise raises an error, or with
// skip_lost returns false.
bool hold_for_caller(const Claim &c, store::TaskRow *row, task::QueueRef *queue) {
    task::LeaseCheck held = task::hold(c.id, receipt_of(c), row);
    bool was_mine = !c.receipt_given && held == task::LeaseCheck::Lost && row->receipt != 0 && row->pid == MyProcPid &&
                    row->started_at >= MyStartTimestamp;
    if (was_mine && row->status == Status::Cancelled) held = task::LeaseCheck::Cancelled;
    // While we waited for the row, its queue may have been purged, which gives it a new id, and our rights may have
    // changed.
    AcceptInvalidationMessages();
    const store::QueueInfo *q = held != task::LeaseCheck::Unknown ? seen_queue(*row, c.ns_name) : nullptr;
    if (q != nullptr) require_access(*row, c.ns_name, Access::Work);
    if (held == task::LeaseCheck::Yes && q != nullptr) {
        *queue = task::ref_of(*q);
        return true;
    }
    if (c.skip_lost) return false;
    if (q == nullptr) no_task(c.id);
    if (held == task::LeaseCheck::Cancelled)
        ereport(ERROR, errcode(err::task_cancelled), errmsg("task " INT64_FORMAT " was cancelled", c.id),
                errhint("Stop working on it."));
    // Others must not learn what has become of the task.
    const bool knows = (row->receipt != 0 && row->receipt == c.receipt) || has_access(*row, *q, Access::ManageOrOwn);
    ereport(ERROR, errcode(err::receipt_not_valid), errmsg("the receipt of task " INT64_FORMAT " is not valid", c.id),
            knows ? errdetail("Its lease has ended, another worker holds it, or it is finished (status %s).",
                              word(row->status).data())
                  : errdetail("Its lease has ended, another worker holds it, or it is finished."),
            knows && !is_unfinished(row->status) ? errhint("It is finished; there is nothing to end.")
            : c.receipt_given                    ? errhint("Retain it again with next_task.")
                                                 : errhint("Give the receipt that next_task returned."));
    pg_unreachable();
}

// Ends the task as requested; a task that calls for itself ends when it commits. Returns false if it is lost and the
// caller skips lost tasks.
bool end_as(const Claim &c, const task::Ending &ending, Status *status) {
    task::OwnRun *run = c.receipt_given ? nullptr : own_run_of(c.id, c.ns_name);
    if (run != nullptr) {
        *status = task::ask(run, ending);
        return true;
    }
    store::TaskRow row;
    task::QueueRef queue;
    if (!hold_for_caller(c, &row, &queue)) return false;
    task::end_held(queue, &row, ending);
    *status = row.status;
    return true;
}

// Releases a task without locking it first, if nothing else is to be done.
bool release_at_once(const Claim &c, Jsonb *result, store::TaskRow *row) {
    if (!task::look_at_held(c.id, receipt_of(c), row)) return false;
    const store::QueueInfo *q = seen_queue(*row, c.ns_name);
    return q != nullptr && has_access(*row, *q, Access::Work) &&
           task::release(task::ref_of(*q), row, result, store::Wait::Skip);
}

Datum status_datum(Status s) {
    return PointerGetDatum(cstring_to_text_with_len(word(s).data(), static_cast<int>(word(s).size())));
}

int64 id_of(FunctionCallInfo fcinfo) {
    not_null(fcinfo, 0, "id");
    return PG_GETARG_INT64(0);
}

// Returns the length of a lease in microseconds; 0 for NULL: the queue's.
int64 lease_of(FunctionCallInfo fcinfo, int i) { return interval_arg(fcinfo, i, "lease", 0, Zero::Refused); }

bool flag(FunctionCallInfo fcinfo, int i) { return !PG_ARGISNULL(i) && PG_GETARG_BOOL(i); }

struct Items {
    Datum *values;
    bool *nulls;
    int count;
    bool given;
};

Items items_of(FunctionCallInfo fcinfo, int i, Oid type, bool null_ok, const char *argument) {
    Items a{};
    if (PG_ARGISNULL(i)) return a;
    bool is_id = type == INT8OID;
    deconstruct_array(one_dimensional(PG_GETARG_ARRAYTYPE_P(i), argument), type, is_id ? 8 : -1, is_id,
                      is_id ? TYPALIGN_DOUBLE : TYPALIGN_INT, &a.values, &a.nulls, &a.count);
    for (int k = 0; k < a.count && !null_ok; k++)
        if (a.nulls[k])
            ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("argument \"%s\" must not contain NULL", argument));
    a.given = true;
    return a;
}

void same_length(const Items &ids, const Items &other, const char *argument, bool one_for_all) {
    if (!other.given || other.count == ids.count || (one_for_all && other.count == 1)) return;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("ids and %s have unequal lengths", argument),
            errdetail("There are %d ids and %d %s.", ids.count, other.count, argument));
}

// The arrays with which all plural functions begin: ids and receipts.
struct Batch {
    Items ids, receipts;
    const char *ns;
    bool skip_lost;
    ReturnSetInfo *info;

    int64 id(int i) const { return DatumGetInt64(ids.values[i]); }
    Claim claim(int i) const {
        return {id(i), receipts.given, receipts.given ? DatumGetInt64(receipts.values[receipts.count == 1 ? 0 : i]) : 0,
                ns, skip_lost};
    }
    bool hold(int i, store::TaskRow *row, task::QueueRef *queue) const { return hold_for_caller(claim(i), row, queue); }
    void put(int i, bool isnull, Datum value) const {
        Datum values[2] = {ids.values[i], value};
        bool nulls[2] = {false, isnull};
        tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
    }
};

Batch open_batch(FunctionCallInfo fcinfo, int skip_arg, int ns_arg) {
    not_null(fcinfo, 0, "ids");
    Batch b{};
    b.ids = items_of(fcinfo, 0, INT8OID, false, "ids");
    b.receipts = items_of(fcinfo, 1, INT8OID, false, "receipts");
    same_length(b.ids, b.receipts, "receipts", true);
    b.skip_lost = flag(fcinfo, skip_arg);
    b.ns = text_arg(fcinfo, ns_arg);
    InitMaterializedSRF(fcinfo, 0);
    b.info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    return b;
}

// Ends each task as ending_of returns, and returns its status.
template <typename F>
Datum end_each(const Batch &b, F ending_of) {
    for (int i = 0; i < b.ids.count; i++) {
        Status status;
        bool held = end_as(b.claim(i), ending_of(i), &status);
        b.put(i, !held, held ? status_datum(status) : Datum(0));
        CHECK_FOR_INTERRUPTS();
    }
    return Datum(0);
}

task::Ending snoozed(int64 delay) { return {task::Ending::What::Snoozed, nullptr, delay, false, nullptr}; }

Jsonb *json_item(const Items &items, int i) {
    return items.given && !items.nulls[i] ? DatumGetJsonbP(items.values[i]) : nullptr;
}

Claim claim_of(FunctionCallInfo fcinfo, int ns_arg) {
    return {id_of(fcinfo), !PG_ARGISNULL(1), PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1), text_arg(fcinfo, ns_arg), false};
}

}  // namespace

PGQ_FUNCTION(pgqueue_release_task) {
    check_call("release_task", true);
    store::TaskRow row;
    Claim claim = claim_of(fcinfo, 3);
    Jsonb *result = PG_ARGISNULL(2) ? nullptr : PG_GETARG_JSONB_P(2);
    if (!release_at_once(claim, result, &row)) {
        task::QueueRef queue;
        hold_for_caller(claim, &row, &queue);
        task::release(queue, &row, result, store::Wait::Block);
    }
    PG_RETURN_DATUM(status_datum(row.status));
}

PGQ_FUNCTION(pgqueue_release_tasks) {
    check_call("release_tasks", true);
    Items results = items_of(fcinfo, 2, JSONBOID, true, "results");
    Batch b = open_batch(fcinfo, 3, 4);
    same_length(b.ids, results, "results", false);
    for (int i = 0; i < b.ids.count; i++) {
        store::TaskRow row;
        task::QueueRef queue;
        Jsonb *result = json_item(results, i);
        bool held = release_at_once(b.claim(i), result, &row);
        if (!held && (held = b.hold(i, &row, &queue))) task::release(queue, &row, result, store::Wait::Block);
        b.put(i, !held, held ? status_datum(row.status) : Datum(0));
        CHECK_FOR_INTERRUPTS();
    }
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_fail_task) {
    check_call("fail_task", true);
    int64 retry_in = interval_arg(fcinfo, 3, "retry_in", -1);
    Jsonb *result = PG_ARGISNULL(5) ? nullptr : PG_GETARG_JSONB_P(5);
    Status status;
    end_as(claim_of(fcinfo, 6), {task::Ending::What::Failed, text_arg(fcinfo, 2), retry_in, flag(fcinfo, 4), result},
           &status);
    PG_RETURN_DATUM(status_datum(status));
}

PGQ_FUNCTION(pgqueue_fail_tasks) {
    check_call("fail_tasks", true);
    Items errors = items_of(fcinfo, 2, TEXTOID, true, "errors");
    int64 retry_in = interval_arg(fcinfo, 3, "retry_in", -1);
    bool final = flag(fcinfo, 4);
    Items results = items_of(fcinfo, 5, JSONBOID, true, "results");
    Batch b = open_batch(fcinfo, 6, 7);
    same_length(b.ids, errors, "errors", true);
    same_length(b.ids, results, "results", false);
    return end_each(b, [&](int i) -> task::Ending {
        int e = errors.count == 1 ? 0 : i;
        const char *error = errors.given && !errors.nulls[e] ? TextDatumGetCString(errors.values[e]) : nullptr;
        return {task::Ending::What::Failed, error, retry_in, final, json_item(results, i)};
    });
}

PGQ_FUNCTION(pgqueue_extend_task) {
    check_call("extend_task", true);
    store::TaskRow row;
    int64 lease = lease_of(fcinfo, 2);
    task::QueueRef queue;
    hold_for_caller(claim_of(fcinfo, 3), &row, &queue);
    PG_RETURN_TIMESTAMPTZ(task::extend(queue, &row, lease));
}

PGQ_FUNCTION(pgqueue_extend_tasks) {
    check_call("extend_tasks", true);
    int64 lease = lease_of(fcinfo, 2);
    Batch b = open_batch(fcinfo, 3, 4);
    for (int i = 0; i < b.ids.count; i++) {
        store::TaskRow row;
        task::QueueRef queue;
        bool held = b.hold(i, &row, &queue);
        b.put(i, !held, held ? TimestampTzGetDatum(task::extend(queue, &row, lease)) : Datum(0));
    }
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_snooze_task) {
    check_call("snooze_task", true);
    int64 delay = interval_arg(fcinfo, 2, "delay", 0);
    Status status;
    end_as(claim_of(fcinfo, 3), snoozed(delay), &status);
    PG_RETURN_DATUM(status_datum(status));
}

PGQ_FUNCTION(pgqueue_snooze_tasks) {
    check_call("snooze_tasks", true);
    int64 delay = interval_arg(fcinfo, 2, "delay", 0);
    Batch b = open_batch(fcinfo, 3, 4);
    return end_each(b, [delay](int) { return snoozed(delay); });
}
