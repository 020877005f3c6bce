// Columns of the task views that come from outcomes, with one look-up by key for each value. As joins or subqueries
// over six tables, the planner would estimate such high costs that it compiles (jit) a query on a thousand tasks.
#include "pg/guards.hpp"
#include "store/segments.hpp"

using namespace pgqueue;

namespace {

// Attribute numbers of pgqueue_internal.outcome_N (sql/02_tables.sql).
enum OutcomeColumn { o_attempt = 2, o_error_code = 11, o_error = 12, o_error_info = 13, o_result = 14 };

// Returns whether the row is the wanted one: of this attempt or, for attempt 0, of a failed one.
bool is_wanted(HeapTuple tuple, TupleDesc desc, int32 attempt) {
    bool isnull;
    if (attempt == 0) return !heap_attisnull(tuple, o_error_code, desc);
    return DatumGetInt32(heap_getattr(tuple, o_attempt, desc, &isnull)) == attempt;
}

// Returns a column of a task's last wanted outcome, as the query's snapshot sees it; NULL: there is none.
Datum outcome_value(FunctionCallInfo fcinfo, int32 attempt, OutcomeColumn column) {
    int slot = PG_GETARG_INT32(0);
    if (slot < 0 || slot >= store::segment_count)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%d is no segment", slot));
    pg::RelationRef rel(store::outcome_oid(slot), AccessShareLock);
    TupleDesc desc = RelationGetDescr(static_cast<Relation>(rel));
    Relation key = index_open(linitial_oid(RelationGetIndexList(rel)), AccessShareLock);
    ScanKeyData id;
    ScanKeyInit(&id, 1, BTEqualStrategyNumber, F_INT8EQ, PG_GETARG_DATUM(1));
    SysScanDesc scan = systable_beginscan_ordered(rel, key, GetActiveSnapshot(), 1, &id);
    Datum value = Datum(0);
    bool isnull = true;
    while (HeapTuple tuple = systable_getnext_ordered(scan, BackwardScanDirection)) {
        if (!is_wanted(tuple, desc, attempt)) continue;
        value = heap_getattr(tuple, column, desc, &isnull);
        if (!isnull) value = datumCopy(value, false, -1);
        break;
    }
    systable_endscan_ordered(scan);
    index_close(key, NoLock);
    fcinfo->isnull = isnull;
    return value;
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_outcome_result) { return outcome_value(fcinfo, PG_GETARG_INT32(2), o_result); }
PGQ_FUNCTION(pgqueue_internal_outcome_error) { return outcome_value(fcinfo, 0, o_error); }
PGQ_FUNCTION(pgqueue_internal_outcome_error_code) { return outcome_value(fcinfo, 0, o_error_code); }
PGQ_FUNCTION(pgqueue_internal_outcome_error_info) { return outcome_value(fcinfo, 0, o_error_info); }
