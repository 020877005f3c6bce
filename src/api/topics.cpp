// What the extension pg_background_queue needs besides the SQL of pgqueue: its settings as rows, tasks of a former
// installation with their ids, and a wake-up call.
#include "api/call.hpp"

#include "config/topics.hpp"
#include "core/topic_name.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "store/outcomes.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "store/rows_write.hpp"
#include "task/transitions.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

constexpr int32 most_retries = 32767;  // of a queue

// The columns of both functions: topic, queue, priority, retries, max_running, delay_in_sec, known (such a queue
// exists).
constexpr int columns = 7;

void fill(std::string_view topic, bool named, const config::TopicSettings &s, Datum *values, bool *nulls) {
    char queue[name_limit + 1];
    if (named)
        topic_queue_name(topic, queue);
    else
        strlcpy(queue, common_topic_queue.data(), sizeof(queue));
    nulls[0] = !named;
    values[0] =
        named ? PointerGetDatum(cstring_to_text_with_len(topic.data(), static_cast<int>(topic.size()))) : Datum(0);
    values[1] = CStringGetTextDatum(queue);
    values[2] = Int32GetDatum(s.priority);
    values[3] = Int32GetDatum(Min(s.retries, most_retries));
    values[4] = Int32GetDatum(s.max_running);
    values[5] = Int32GetDatum(s.delay);
    const store::NamespaceInfo *ns = store::namespace_by_name(store::background_namespace);
    values[6] = BoolGetDatum(ns != nullptr && store::queue_by_name(ns->id, queue) != nullptr);
}

}  // namespace

// Returns one row for each topic of topic_config. The first row is for all other topics, and has no topic.
PGQ_FUNCTION(pgqueue_internal_topic_settings) {
    InitMaterializedSRF(fcinfo, 0);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    Datum values[columns];
    bool nulls[columns] = {};
    config::TopicSettings common = config::common_topic();
    common.max_running = 0;  // the limit of these is that of the namespace
    fill({}, false, common, values, nulls);
    tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
    for (int i = 0; i < config::topic_count(); i++) {
        config::Topic t = config::topic_at(i);
        // No task of a database with another encoding can have it.
        if (!pg_verifymbstr(t.name.data(), static_cast<int>(t.name.size()), true)) continue;
        fill(t.name, true, t.settings, values, nulls);
        tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
    }
    return Datum(0);
}

// Returns the row that applies to one topic.
PGQ_FUNCTION(pgqueue_internal_topic) {
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("function must return a row"));
    std::string_view topic;
    if (!PG_ARGISNULL(0)) {
        text *t = PG_GETARG_TEXT_PP(0);
        topic = {VARDATA_ANY(t), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(t))};
    }
    config::TopicSettings settings = config::common_topic();
    bool named = !topic.empty() && config::find_topic(topic, &settings);
    Datum values[columns];
    bool nulls[columns] = {};
    fill(topic, named, settings, values, nulls);
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

// Makes the scheduler check for work. Only tasks that are due start.
PGQ_FUNCTION(pgqueue_internal_wake_scheduler) {
    (void)fcinfo;
    check_call("ensure_workers", true);
    memory::SlotNo db = memory::find_database(MyDatabaseId);
    if (db >= 0) memory::wake_scheduler(db);
    PG_RETURN_VOID();
}

namespace {

enum PutArg {
    p_id,
    p_queue_id,
    p_role,
    p_command,
    p_priority,
    p_headers,
    p_created_at,
    p_delayed_at,
    p_failures,
    p_error
};

// Writes the former attempts of a task, as far as they decide when it is retried and show what failed.
void put_attempts(const task::QueueRef &queue, int64 id, int32 failures, const char *error) {
    store::TaskRow row;
    if (!store::find(id, false, &row)) return;
    const store::TaskRow before = row;
    row.attempt = failures;
    row.status = Status::Retry;
    row.started_at = row.created_at;
    store::update(&row, nullptr, store::Wait::Block);
    task::announce({.from_queue = queue, .to_queue = queue, .from = &before, .to = &row});
    if (error == nullptr) return;
    store::OutcomeRow out{AttemptEnd::Failed, nullptr, nullptr, {}, nullptr, {}, nullptr};
    out.error.sqlstate = ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;  // the real one was not kept
    out.error.message = error;
    store::append_outcome(row, out, row.created_at);
}

}  // namespace

// Creates a waiting task with the id and history that it had elsewhere.
PGQ_FUNCTION(pgqueue_internal_put_task) {
    check_call("import", true);
    const task::QueueRef queue = task::ref_of(store::queue_there(PG_GETARG_INT32(p_queue_id)));
    store::NewTask t{};
    t.id = PG_GETARG_INT64(p_id);
    t.queue_id = queue.info->id;
    t.role_id = store::role_id_of(PG_GETARG_OID(p_role));
    t.priority = PG_GETARG_INT32(p_priority);
    t.retries = queue.info->retries;
    t.run_limit = -1;
    t.created_at = PG_GETARG_TIMESTAMPTZ(p_created_at);
    t.delayed_at = PG_ARGISNULL(p_delayed_at) ? 0 : PG_GETARG_TIMESTAMPTZ(p_delayed_at);
    t.command = PG_GETARG_TEXT_PP(p_command);
    t.headers = PG_ARGISNULL(p_headers) ? nullptr : PG_GETARG_JSONB_P(p_headers);
    t.flags = flag_command;
    task::create(queue, {&t, 1});
    int32 failures = PG_ARGISNULL(p_failures) ? 0 : PG_GETARG_INT32(p_failures);
    if (failures > 0) put_attempts(queue, t.id, failures, text_arg(fcinfo, p_error));
    PG_RETURN_VOID();
}
