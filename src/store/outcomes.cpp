// The ends of attempts, appended to the outcome table beside a segment. An outcome whose task is gone is garbage.
#include "store/outcomes.hpp"

#include "pg/guards.hpp"
#include "pg/jsonb.hpp"
#include "store/relations.hpp"
#include "store/rows.hpp"

namespace pgqueue::store {
namespace {

// Attribute numbers of pgqueue_internal.outcome_N, less one.
enum OutcomeColumn {
    o_id,
    o_attempt,
    o_outcome,
    o_pid,
    o_receipt,
    o_started_at,
    o_finished_at,
    o_lease_until,
    o_worker,
    o_role,
    o_error_code,
    o_error,
    o_error_info,
    o_result,
    o_cpu_us,
    o_wal_bytes,
    o_blocks_hit,
    o_blocks_read,
    o_blocks_dirtied,
    o_temp_bytes,
    o_row_count,
    o_messages,
    outcome_columns
};

struct OutcomeTuple {
    Datum values[outcome_columns];
    bool nulls[outcome_columns];
    void set(OutcomeColumn c, Datum d) {
        values[c] = d;
        nulls[c] = false;
    }
    void set_text(OutcomeColumn c, const char *s) {
        if (s != nullptr) set(c, CStringGetTextDatum(s));
    }
    void set_time(OutcomeColumn c, TimestampTz t) {
        if (t != 0) set(c, TimestampTzGetDatum(t));
    }
};

// Cuts an error's text. The end of an attempt must be written, however long its texts are.
const char *cut(const char *text) {
    constexpr int most = 1024 * 1024;
    if (text == nullptr) return nullptr;
    const int bytes = static_cast<int>(strlen(text));
    return bytes <= most ? text
                         : psprintf("%s... (cut, %d bytes in all)",
                                    pnstrdup(text, static_cast<Size>(pg_mbcliplen(text, bytes, most))), bytes);
}

// Returns {"detail":...,"hint":...,"context":...} with the existing members; nullptr: there are none.
Jsonb *error_info(const pg::ErrorReport &error) {
    if (error.detail == nullptr && error.hint == nullptr && error.context == nullptr) return nullptr;
    pg::JsonbObject info;
    info.add("detail", cut(error.detail));
    info.add("hint", cut(error.hint));
    info.add("context", cut(error.context));
    return info.finish();
}

// Fills the columns of an attempt's end.
OutcomeTuple make_outcome(const TaskRow &row, const OutcomeRow &outcome, TimestampTz end) {
    OutcomeTuple t;
    for (bool &n : t.nulls) n = true;
    t.set(o_id, Int64GetDatum(row.ref.id));
    t.set(o_attempt, Int32GetDatum(row.attempt));
    t.set(o_outcome, Int16GetDatum(static_cast<int16>(outcome.outcome)));
    t.set(o_pid, Int32GetDatum(row.pid));
    t.set(o_receipt, Int64GetDatum(row.receipt));
    t.set(o_started_at, TimestampTzGetDatum(row.started_at != 0 ? row.started_at : end));
    t.set(o_finished_at, TimestampTzGetDatum(end));
    t.set_time(o_lease_until, row.lease_until);
    t.set_text(o_worker, outcome.worker);
    t.set_text(o_role, outcome.role);
    if (outcome.error.sqlstate != 0) t.set_text(o_error_code, unpack_sql_state(outcome.error.sqlstate));
    t.set_text(o_error, cut(outcome.error.message));
    if (Jsonb *info = error_info(outcome.error)) t.set(o_error_info, JsonbPGetDatum(info));
    if (outcome.result != nullptr) t.set(o_result, JsonbPGetDatum(outcome.result));
    if (const Costs &costs = outcome.costs; costs.known) {
        t.set(o_cpu_us, Int64GetDatum(costs.cpu_us));
        t.set(o_wal_bytes, Int64GetDatum(costs.wal_bytes));
        t.set(o_blocks_hit, Int64GetDatum(costs.blocks_hit));
        t.set(o_blocks_read, Int64GetDatum(costs.blocks_read));
        t.set(o_blocks_dirtied, Int64GetDatum(costs.blocks_dirtied));
        t.set(o_temp_bytes, Int64GetDatum(costs.temp_bytes));
    }
    if (outcome.costs.rows >= 0) t.set(o_row_count, Int64GetDatum(outcome.costs.rows));
    if (outcome.messages != nullptr) t.set(o_messages, PointerGetDatum(outcome.messages));
    return t;
}

// Scans a task's outcomes in the order of attempts.
SysScanDesc scan_outcomes(Relation rel, Relation key, int64 id, ScanKeyData *scan_key) {
    ScanKeyInit(scan_key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(id));
    return systable_beginscan_ordered(rel, key, SnapshotSelf, 1, scan_key);
}

// Returns false if another transaction holds the outcome.
bool remove_outcome(Relation rel, HeapTuple tuple) {
    TM_FailureData failure;
    CommandId command = GetCurrentCommandId(true);
    pg::ToastSnapshot snapshot(HeapTupleHasExternal(tuple));
    return heap_delete(rel, &tuple->t_self, command, InvalidSnapshot, false, &failure, false) == TM_Ok;
}

}  // namespace

void append_outcome(const TaskRow &row, const OutcomeRow &outcome, TimestampTz end) {
    Relation rel = open_outcomes(row.ref.segment, RowExclusiveLock);
    if (rel == nullptr)
        ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                errmsg("task " INT64_FORMAT " was removed by the housekeeper", row.ref.id));
    pg::TempContext scratch;
    OutcomeTuple t = make_outcome(row, outcome, end);
    HeapTuple tuple = heap_form_tuple(RelationGetDescr(rel), t.values, t.nulls);
    heap_insert(rel, tuple, GetCurrentCommandId(true), 0, nullptr);
    Relation key = index_open(segment(row.ref.segment).outcome_key, RowExclusiveLock);
    add_outcome_entry(key, rel, row.ref.id, row.attempt, &tuple->t_self);
    index_close(key, NoLock);
    table_close(rel, NoLock);
}

void trim_outcomes(const TaskRow &row, int keep) {
    Relation rel = open_outcomes(row.ref.segment, RowExclusiveLock);
    if (rel == nullptr) return;
    Relation key = index_open(segment(row.ref.segment).outcome_key, AccessShareLock);
    ScanKeyData scan_key;
    int count = 0;
    SysScanDesc scan = scan_outcomes(rel, key, row.ref.id, &scan_key);
    while (HeapTupleIsValid(systable_getnext_ordered(scan, ForwardScanDirection))) count++;
    systable_endscan_ordered(scan);
    if (count > keep) {
        CommandCounterIncrement();
        scan = scan_outcomes(rel, key, row.ref.id, &scan_key);
        HeapTuple tuple;
        // Leaves rows that another transaction holds to the end of the next attempt.
        for (; count > keep && HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)); count--)
            (void)remove_outcome(rel, tuple);
        systable_endscan_ordered(scan);
    }
    index_close(key, NoLock);
    table_close(rel, NoLock);
}

void move_outcomes(int64 id, const OutcomePlace &from, const OutcomePlace &to) {
    ScanKeyData scan_key;
    SysScanDesc scan = scan_outcomes(from.heap, from.key, id, &scan_key);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection))) {
        bool null;
        int32 attempt = DatumGetInt32(heap_getattr(tuple, o_attempt + 1, RelationGetDescr(from.heap), &null));
        HeapTuple copy = heap_copytuple(tuple);
        if (!remove_outcome(from.heap, tuple))
            ereport(ERROR, errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                    errmsg("an outcome of task " INT64_FORMAT " is in somebody's hands", id));
        heap_insert(to.heap, copy, GetCurrentCommandId(true), 0, nullptr);
        add_outcome_entry(to.key, to.heap, id, attempt, &copy->t_self);
        heap_freetuple(copy);
    }
    systable_endscan_ordered(scan);
}

}  // namespace pgqueue::store
