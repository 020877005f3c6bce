// next_task and next_tasks: work for an outside worker.
#include "api/call.hpp"
#include "api/outside.hpp"
#include "config/server_settings.hpp"
#include "dispatch/session_leases.hpp"
#include "pg/clock.hpp"
#include "store/identity.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/outside.hpp"
#include "task/own_run.hpp"
#include "task/make_receipt.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

constexpr int64 longest_load = 5 * int64(USECS_PER_SEC);

// Returns whether shared memory has the tasks committed up to now.
bool is_loaded(memory::SlotNo db) {
    return memory::state_of(db) == memory::DbState::Ready && memory::database(db).service.identity_changed.load() == 0;
}

// Returns whether a scheduler will load the database, as far as is known here.
bool will_be_loaded(memory::SlotNo db) {
    memory::Database &d = memory::database(db);
    if (!config::enabled || !config::serves_database(get_database_name(MyDatabaseId))) return false;
    if (d.service.looked.load() && !d.service.wanted.load()) return false;
    if (d.service.held.load() || d.service.blocked_by.load() != 0 || d.service.needs_first_process.load()) return false;
    return store::is_ours();
}

// Waits a moment for a scheduler that has yet to load the database, after a server start or CREATE EXTENSION. Returns
// false if waiting is useless.
bool wait_for_load(memory::SlotNo db) {
    constexpr long look_again_ms = 500;
    const pg::Deadline end = pg::deadline_in(longest_load);
    bool waited = false;
    while (!is_loaded(db) && will_be_loaded(db) && !pg::has_passed(end)) {
        (void)ConditionVariableTimedSleep(&memory::map.shared->loaded[db], Min(pg::ms_until(end), look_again_ms) + 1,
                                          pg::wait_event("PgqueueLoad"));
        waited = true;
    }
    ConditionVariableCancelSleep();
    return waited;
}

struct Take {
    const char *worker;
    std::span<const memory::SlotNo> queues;
    memory::SlotNo ns;
    int64 lease;
    bool bound;
    int most;
};

// The names shown in the returned rows.
const char *queue_name(int32 id) {
    const store::QueueInfo *q = store::queue_by_id(id);
    return q ? q->name : "";
}

void put_task(ReturnSetInfo *info, const store::TaskRow &t, int64 receipt, const char *ns) {
    Datum values[13] = {};
    bool nulls[13] = {};
    auto text_at = [&](int i, const char *s) {
        nulls[i] = s == nullptr;
        if (s != nullptr) values[i] = CStringGetTextDatum(s);
    };
    auto json_at = [&](int i, Jsonb *j) {
        nulls[i] = j == nullptr;
        if (j != nullptr) values[i] = JsonbPGetDatum(j);
    };
    auto time_at = [&](int i, TimestampTz at) {
        nulls[i] = at == 0;
        values[i] = TimestampTzGetDatum(at);
    };
    values[0] = Int64GetDatum(t.ref.id);
    values[1] = Int64GetDatum(receipt);
    values[2] = Int32GetDatum(t.attempt);
    text_at(3, ns);
    text_at(4, queue_name(t.queue_id));
    text_at(5, t.type);
    json_at(6, t.payload);
    json_at(7, t.headers);
    values[8] = Int32GetDatum(t.priority);
    text_at(9, t.group_key);
    time_at(10, t.created_at);
    time_at(11, t.dies_at);
    time_at(12, t.lease_until);
    tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

void take_and_return(FunctionCallInfo fcinfo, const Take &t, const char *ns_name) {
    InitMaterializedSRF(fcinfo, 0);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    int64 receipt = task::new_receipt();
    auto *rows = static_cast<store::TaskRow *>(palloc(sizeof(store::TaskRow) * static_cast<Size>(t.most)));
    const task::TakeRequest request{t.ns, t.queues, t.worker, receipt, t.lease, t.bound};
    int n = task::take(request, rows, t.most);
    if (n == 0 && wait_for_load(memory::map.namespaces[t.ns].db)) n = task::take(request, rows, t.most);
    for (int i = 0; i < n; i++) put_task(info, rows[i], receipt, ns_name);
}

const char *worker_arg(FunctionCallInfo fcinfo) {
    not_null(fcinfo, 0, "worker");
    char *worker = text_arg(fcinfo, 0);
    if (trim(worker).empty())
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("missing worker name"),
                errhint("Give a name that identifies the worker."));
    constexpr int longest = 1000;
    if (const int bytes = static_cast<int>(strlen(worker)); bytes > longest)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"worker\" must have at most %d bytes", longest), errdetail("It has %d.", bytes),
                errhint("Shorten it."));
    return worker;
}

// lease: NULL the queue's, zero only the session.
int64 lease_arg(FunctionCallInfo fcinfo, int i, bool bound) {
    return interval_arg(fcinfo, i, "lease", -1, bound ? Zero::Allowed : Zero::Refused);
}

}  // namespace

PGQ_FUNCTION(pgqueue_next_task) {
    check_call("next_task", true);
    Take t{};
    t.worker = worker_arg(fcinfo);
    const store::NamespaceInfo &ns = find_namespace(text_arg(fcinfo, 4));
    require(ns, store::priv_work);
    refuse_system(ns);
    char *ns_name = pstrdup(ns.name);
    t.bound = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
    t.lease = lease_arg(fcinfo, 2, t.bound);
    t.ns = namespace_slot(ns);
    if (!PG_ARGISNULL(1)) {
        auto *slot = static_cast<memory::SlotNo *>(palloc(sizeof(memory::SlotNo)));
        *slot = task::ensure_entry(find_queue(ns, text_arg(fcinfo, 1)));
        t.queues = {slot, 1};
    }
    t.most = 1;
    take_and_return(fcinfo, t, ns_name);
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_next_tasks) {
    check_call("next_tasks", true);
    Take t{};
    t.worker = worker_arg(fcinfo);
    const store::NamespaceInfo &ns = find_namespace(text_arg(fcinfo, 5));
    require(ns, store::priv_work);
    refuse_system(ns);
    char *ns_name = pstrdup(ns.name);
    t.most = PG_ARGISNULL(2) ? 1 : checked_range("max_tasks", PG_GETARG_INT32(2), 1, 10000);
    t.bound = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
    t.lease = lease_arg(fcinfo, 3, t.bound);
    t.ns = namespace_slot(ns);
    t.queues = queue_slots(ns, PG_ARGISNULL(1) ? nullptr : PG_GETARG_ARRAYTYPE_P(1));
    take_and_return(fcinfo, t, ns_name);
    return Datum(0);
}
