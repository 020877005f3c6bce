// create_task and create_tasks: arguments, rights, limits, then rows and hints.
#include "api/call.hpp"

#include "dispatch/xact.hpp"
#include "pg/errcodes.hpp"
#include "pg/guards.hpp"
#include "task/lifecycle.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

// Argument numbers; the plural form has arrays at the same places.
enum Arg {
    a_queue, a_payload, a_type, a_command, a_priority, a_delay, a_delayed_at, a_ttl, a_retries, a_run_limit, a_dedup_key, a_dedup_for, a_on_conflict,
    a_group_key, a_batch_key, a_depends_on, a_depends_on_batch, a_on_failed_dependency, a_headers, a_namespace
};

void not_yet(const char *argument) {
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("argument \"%s\" is not supported by this version", argument),
            errhint("Leave it out, or NULL."));
}

void check_word(FunctionCallInfo fcinfo, int i, const char *argument, std::string_view valid, const char *hint) {
    if (PG_ARGISNULL(i)) return;
    std::string_view word = text_arg(fcinfo, i);
    bool found = false;
    for (std::string_view rest = valid; !rest.empty() && !found;) {
        std::size_t end = rest.find(' ');
        found = word == std::string_view(rest.data(), end == rest.npos ? rest.size() : end);
        rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    }
    if (!found) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for argument \"%s\": \"%s\"", argument, text_arg(fcinfo, i)), errhint("Valid words: %s.", hint));
}

// What later versions bring is refused, not forgotten.
void refuse_unsupported(FunctionCallInfo fcinfo, bool plural) {
    check_word(fcinfo, a_on_conflict, "on_conflict", "skip nothing replace error", "skip, nothing, replace, error");
    check_word(fcinfo, a_on_failed_dependency, "on_failed_dependency", "cancel hold ignore", "cancel, hold, ignore");
    if (!PG_ARGISNULL(a_dedup_key)) not_yet(plural ? "dedup_keys" : "dedup_key");
    if (!PG_ARGISNULL(a_dedup_for)) not_yet("dedup_for");
    if (!PG_ARGISNULL(a_group_key)) not_yet(plural ? "group_keys" : "group_key");
    if (!PG_ARGISNULL(a_batch_key)) not_yet("batch_key");
    if (!PG_ARGISNULL(a_depends_on)) not_yet("depends_on");
    if (!PG_ARGISNULL(a_depends_on_batch)) not_yet("depends_on_batch");
}

int32 checked_int(FunctionCallInfo fcinfo, int i, const char *argument, int32 least, int32 most, int32 none) {
    if (PG_ARGISNULL(i)) return none;
    int32 v = PG_GETARG_INT32(i);
    if (v < least || v > most)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%d is out of range for argument \"%s\"", v, argument), errhint("Valid range: %d to %d.", least, most));
    return v;
}

// An interval that must not be negative; none when not given.
int64 checked_interval(FunctionCallInfo fcinfo, int i, const char *argument, int64 none) {
    if (PG_ARGISNULL(i)) return none;
    int64 micros = micros_of(PG_GETARG_INTERVAL_P(i));
    if (micros < 0) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"%s\" must not be negative", argument));
    return micros;
}

TimestampTz later(TimestampTz at, int64 micros) {
    constexpr int64 end = END_TIMESTAMP - 1;
    return micros > end - at ? end : at + micros;
}

// Times of a new task: when it is due (0 at once) and when it dies (0 never).
void set_times(FunctionCallInfo fcinfo, const store::QueueInfo &q, TimestampTz now, store::NewTask *t) {
    int64 delay = checked_interval(fcinfo, a_delay, "delay", 0);
    t->delayed_at = 0;
    if (!PG_ARGISNULL(a_delayed_at)) {
        if (!PG_ARGISNULL(a_delay)) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("delay and delayed_at must not be given both"));
        TimestampTz at = PG_GETARG_TIMESTAMPTZ(a_delayed_at);
        if (TIMESTAMP_NOT_FINITE(at)) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("delayed_at must be finite"));
        if (at < GetCurrentTransactionStartTimestamp()) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("delayed_at is in the past"));
        t->delayed_at = at > now ? at : 0;
    } else if (delay > 0) {
        t->delayed_at = later(now, delay);
    }
    int64 ttl = checked_interval(fcinfo, a_ttl, "ttl", q.ttl);
    t->dies_at = ttl > 0 ? later(t->delayed_at != 0 ? t->delayed_at : now, ttl) : 0;
}

// The part that all tasks of a call share.
store::NewTask common(FunctionCallInfo fcinfo, const store::QueueInfo &q) {
    store::NewTask t{};
    TimestampTz now = GetCurrentTimestamp();
    t.queue_id = q.id;
    t.role_id = store::role_id_of(caller());
    t.priority = PG_ARGISNULL(a_priority) ? q.priority : PG_GETARG_INT32(a_priority);
    t.retries = checked_int(fcinfo, a_retries, "retries", 0, 32767, q.retries);
    t.run_limit = checked_interval(fcinfo, a_run_limit, "run_limit", -1);
    t.created_at = now;
    set_times(fcinfo, q, now, &t);
    if (!PG_ARGISNULL(a_type)) t.type = PG_GETARG_TEXT_PP(a_type);
    if (!PG_ARGISNULL(a_headers)) t.headers = PG_GETARG_JSONB_P(a_headers);
    return t;
}

void check_content(const store::NewTask &t) {
    if (t.payload == nullptr && t.type == nullptr && t.command == nullptr)
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("missing payload"), errhint("Give payload, type or command."));
    if (t.type != nullptr && t.command != nullptr)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("type and command must not be given both"));
    if (t.type != nullptr && VARSIZE_ANY_EXHDR(t.type) == 0) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("type must not be empty"));
    if (t.command != nullptr) {
        const char *s = VARDATA_ANY(t.command);
        if (trim({s, static_cast<std::size_t>(VARSIZE_ANY_EXHDR(t.command))}).empty())
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("command must not be empty"));
    }
}

int64 unfinished(dispatch::SlotNo slot) {
    int64 n = 0;
    for (Status s : {Status::New, Status::Retry, Status::Retained})
        n += static_cast<int64>(pg_atomic_read_u64(&dispatch::map.queues[slot].counts[static_cast<int>(s)])) + dispatch::own_count(slot, static_cast<int>(s));
    return n;
}

// max_depth of queue and namespace.
void check_depth(const store::NamespaceInfo &ns, const store::QueueInfo &q, int64 more) {
    if (q.max_depth <= 0 && ns.max_depth <= 0) return;
    dispatch::SlotNo slot = task::slot_of(q);
    if (slot < 0) return;
    int64 depth = unfinished(slot);
    if (q.max_depth > 0 && depth + more > q.max_depth)
        ereport(ERROR, errcode(err::queue_full), errmsg("queue \"%s\" is full", q.name),
                errdetail("It has " INT64_FORMAT " unfinished tasks, max_depth is " INT64_FORMAT ".", depth, q.max_depth), errhint("Try again later, or raise max_depth."));
    if (ns.max_depth <= 0) return;
    int64 all = 0;
    for (dispatch::SlotNo i = 0; i < dispatch::map.shared->used_queues; i++)
        if (dispatch::map.queues[i].used && dispatch::map.queues[i].ns == dispatch::map.queues[slot].ns) all += unfinished(i);
    if (all + more > ns.max_depth)
        ereport(ERROR, errcode(err::queue_full), errmsg("namespace \"%s\" is full", ns.name),
                errdetail("It has " INT64_FORMAT " unfinished tasks, max_depth is " INT64_FORMAT ".", all, ns.max_depth), errhint("Try again later, or raise max_depth."));
}

// Namespace and queue of the call, rights checked. The references are valid until the catalog cache is used again after an invalidation.
const store::QueueInfo &target(FunctionCallInfo fcinfo, const store::NamespaceInfo **ns) {
    not_null(fcinfo, a_queue, "queue");
    char *ns_name = text_arg(fcinfo, a_namespace);
    const store::NamespaceInfo &n = find_namespace(ns_name);
    require(n, store::priv_use);
    const store::QueueInfo &q = find_queue(n, text_arg(fcinfo, a_queue));
    *ns = store::namespace_by_id(q.ns_id);
    return q;
}

struct Array {
    Datum *items;
    bool *nulls;
    int count;
    bool given;
};

Array array_arg(FunctionCallInfo fcinfo, int i, Oid type, const char *argument) {
    Array a{};
    if (PG_ARGISNULL(i)) return a;
    ArrayType *value = PG_GETARG_ARRAYTYPE_P(i);
    if (ARR_NDIM(value) > 1) ereport(ERROR, errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR), errmsg("argument \"%s\" must be a one-dimensional array", argument));
    deconstruct_array(value, type, -1, false, TYPALIGN_INT, &a.items, &a.nulls, &a.count);
    for (int k = 0; k < a.count; k++)
        if (a.nulls[k]) ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"%s\" must not contain NULL", argument));
    a.given = true;
    return a;
}

}  // namespace

PGQ_FUNCTION(pgqueue_create_task) {
    check_call("create_task", true);
    const store::NamespaceInfo *ns;
    const store::QueueInfo &q = target(fcinfo, &ns);
    refuse_unsupported(fcinfo, false);
    store::NewTask t = common(fcinfo, q);
    if (!PG_ARGISNULL(a_payload)) t.payload = PG_GETARG_JSONB_P(a_payload);
    if (!PG_ARGISNULL(a_command)) t.command = PG_GETARG_TEXT_PP(a_command);
    t.flags = t.command != nullptr ? flag_command : 0;
    check_content(t);
    check_depth(*ns, q, 1);
    t.id = store::next_id();
    task::create(q, {&t, 1});
    PG_RETURN_INT64(t.id);
}

PGQ_FUNCTION(pgqueue_create_tasks) {
    check_call("create_tasks", true);
    const store::NamespaceInfo *ns;
    const store::QueueInfo &q = target(fcinfo, &ns);
    refuse_unsupported(fcinfo, true);
    Array payloads = array_arg(fcinfo, a_payload, JSONBOID, "payloads");
    Array commands = array_arg(fcinfo, a_command, TEXTOID, "commands");
    if (payloads.given && commands.given && payloads.count != commands.count)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("payloads and commands have unequal lengths"),
                errdetail("There are %d payloads and %d commands.", payloads.count, commands.count));
    if (!payloads.given && !commands.given)
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("missing payload"), errhint("Give payloads or commands."));
    int n = payloads.given ? payloads.count : commands.count;
    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (n == 0) return Datum(0);
    store::NewTask first = common(fcinfo, q);
    check_depth(*ns, q, n);
    auto *tasks = static_cast<store::NewTask *>(palloc_extended(sizeof(store::NewTask) * static_cast<Size>(n), MCXT_ALLOC_HUGE));
    for (int i = 0; i < n; i++) {
        tasks[i] = first;
        if (payloads.given) tasks[i].payload = DatumGetJsonbP(payloads.items[i]);
        if (commands.given) tasks[i].command = DatumGetTextPP(commands.items[i]);
        tasks[i].flags = commands.given ? flag_command : 0;
        check_content(tasks[i]);
        tasks[i].id = store::next_id();
    }
    task::create(q, {tasks, static_cast<std::size_t>(n)});
    for (int i = 0; i < n; i++) {
        Datum value = Int64GetDatum(tasks[i].id);
        bool isnull = false;
        tuplestore_putvalues(info->setResult, info->setDesc, &value, &isnull);
    }
    return Datum(0);
}
