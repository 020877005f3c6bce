// CALL wait_for_result: sleeps on a latch, and holds no snapshot and no lock while it waits.
#include "api/call.hpp"
#include "api/waiting.hpp"

#include "memory/registry.hpp"
#include "pg/guards.hpp"
#include "task/transitions.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

enum Arg { a_id, a_timeout, a_namespace, a_status, a_result, a_error };

struct Answer {
    bool finished;
    char *status, *error;
    Jsonb *result;
};

// Reads the task through the view, so that the caller's rights decide what is seen.
bool read_answer(int64 id, const char *ns, MemoryContext keep, Answer *out) {
    Oid types[2] = {INT8OID, TEXTOID};
    Datum values[2] = {Int64GetDatum(id), ns ? CStringGetTextDatum(ns) : Datum(0)};
    const char nulls[2] = {' ', ns ? ' ' : 'n'};
    pg::ActiveSnapshot snapshot;
    SPI_execute_with_args("SELECT status, result, error FROM pgqueue.get_task($1, namespace => $2)", 2, types, values,
                          nulls, true, 1);
    if (SPI_processed == 0) return false;
    HeapTuple tuple = SPI_tuptable->vals[0];
    TupleDesc desc = SPI_tuptable->tupdesc;
    pg::MemoryScope scope(keep);
    out->status = SPI_getvalue(tuple, desc, 1);
    out->status = out->status ? MemoryContextStrdup(keep, out->status) : nullptr;
    out->finished = false;
    for (int s = static_cast<int>(Status::Released); s < status_count; s++)
        out->finished = out->finished || status_words[static_cast<std::size_t>(s)] == out->status;
    bool isnull;
    Datum result = SPI_getbinval(tuple, desc, 2, &isnull);
    out->result = isnull ? nullptr : static_cast<Jsonb *>(static_cast<void *>(PG_DETOAST_DATUM_COPY(result)));
    char *error = SPI_getvalue(tuple, desc, 3);
    out->error = error ? MemoryContextStrdup(keep, error) : nullptr;
    return true;
}

memory::ResultWaiter *begin_waiting(int64 id, memory::SlotNo db) {
    for (memory::ResultWaiter &w : memory::map.shared->waiters) {
        if (!w.task_id.replace(0, -1)) continue;
        w.db = db;
        w.procno = pg::my_procno();
        pg_memory_barrier();
        w.task_id.store(id);
        memory::database(db).waiters.results.fetch_add(1);
        return &w;
    }
    return nullptr;
}

void end_waiting(memory::ResultWaiter *w) {
    w->task_id.store(0);
    memory::database(w->db).waiters.results.fetch_sub(1);
}

constinit memory::ResultWaiter *waiting_as = nullptr;

// Frees the entry of a waiter, which must not outlive its process.
void at_exit(int, Datum) {
    if (waiting_as != nullptr) end_waiting(waiting_as);
    waiting_as = nullptr;
}

Datum answer_row(FunctionCallInfo fcinfo, const Answer &a) {
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("wait_for_result returns a row"));
    Datum values[3] = {Datum(0), Datum(0), Datum(0)};
    bool nulls[3] = {!a.finished, !a.finished || a.result == nullptr, !a.finished || a.error == nullptr};
    if (!nulls[0]) values[0] = CStringGetTextDatum(a.status);
    if (!nulls[1]) values[1] = JsonbPGetDatum(a.result);
    if (!nulls[2]) values[2] = CStringGetTextDatum(a.error);
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

// Checks, and sleeps between checks, until the task is finished or the time has passed.
void wait_until(int64 id, const char *ns, pg::Deadline end, MemoryContext keep, Answer *answer) {
    for (;;) {
        ResetLatch(MyLatch);
        if (!read_answer(id, ns, keep, answer)) no_task(id);
        if (answer->finished || pg::has_passed(end)) return;
        sleep_outside_transaction(end, waiting_as != nullptr, "PgqueueResult");
    }
}

}  // namespace

PGQ_FUNCTION(pgqueue_wait_for_result) {
    static constinit bool registered = false;
    check_call("wait_for_result", false);
    not_null(fcinfo, a_id, "id");
    check_may_wait(fcinfo, "wait_for_result");
    int64 id = PG_GETARG_INT64(a_id);
    int64 micros = wait_time(fcinfo, a_timeout);
    char *ns = text_arg(fcinfo, a_namespace);
    MemoryContext keep =
        AllocSetContextCreate(PortalContext ? PortalContext : TopMemoryContext, "pgqueue wait", ALLOCSET_SMALL_SIZES);
    ns = ns ? MemoryContextStrdup(keep, ns) : nullptr;
    pg::Deadline end = pg::deadline_in(micros);
    Answer answer{};
    if (!registered) {
        before_shmem_exit(at_exit, Datum(0));
        registered = true;
    }
    memory::SlotNo db = memory::ensure_database(MyDatabaseId);
    if (waiting_as != nullptr) at_exit(0, Datum(0));
    waiting_as = db >= 0 && micros > 0 ? begin_waiting(id, db) : nullptr;
    pg::with_cleanup(
        [&] {
            SPI_connect_ext(SPI_OPT_NONATOMIC);
            wait_until(id, ns, end, keep, &answer);
            SPI_finish();
        },
        [] { at_exit(0, Datum(0)); });
    return answer_row(fcinfo, answer);
}
