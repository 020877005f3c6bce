// Applies a call, or a statement on a view, to the row of an object with settings.
#include "api/call.hpp"

using namespace pgqueue;

namespace {

struct Row {
    TupleDesc desc;
    Datum *values;
    bool *nulls;

    // Returns the column of this name and type; -1 none.
    int find(Form_pg_attribute wanted) const {
        for (int i = 0; i < desc->natts; i++) {
            Form_pg_attribute a = TupleDescAttr(desc, i);
            if (!a->attisdropped && a->atttypid == wanted->atttypid &&
                namestrcmp(&a->attname, NameStr(wanted->attname)) == 0)
                return i;
        }
        return -1;
    }
};

// NULL as a row counts as a row whose columns are all NULL.
Row row_argument(FunctionCallInfo fcinfo, int argument) {
    Row row{lookup_rowtype_tupdesc_copy(get_fn_expr_argtype(fcinfo->flinfo, argument), -1), nullptr, nullptr};
    row.values = static_cast<Datum *>(palloc0(sizeof(Datum) * row.desc->natts));
    row.nulls = static_cast<bool *>(palloc(sizeof(bool) * row.desc->natts));
    memset(row.nulls, true, sizeof(bool) * row.desc->natts);
    if (PG_ARGISNULL(argument)) return row;
    HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(argument);
    HeapTupleData tuple{};
    tuple.t_len = HeapTupleHeaderGetDatumLength(header);
    ItemPointerSetInvalid(&tuple.t_self);
    tuple.t_data = header;
    heap_deform_tuple(&tuple, row.desc, row.values, row.nulls);
    return row;
}

bool is_distinct(const Row &a, const Row &b, int column) {
    if (a.nulls[column] || b.nulls[column]) return a.nulls[column] != b.nulls[column];
    Form_pg_attribute type = TupleDescAttr(a.desc, column);
    TypeCacheEntry *cache = lookup_type_cache(type->atttypid, TYPECACHE_EQ_OPR_FINFO);
    return !DatumGetBool(
        FunctionCall2Coll(&cache->eq_opr_finfo, type->attcollation, a.values[column], b.values[column]));
}

}  // namespace

// row_with(now, given, was): returns `now` with the columns of `given` that differ from `was`
// (sql/05_settings.sql).
PGQ_FUNCTION(pgqueue_internal_row_with) {
    Row now = row_argument(fcinfo, 0), given = row_argument(fcinfo, 1), was = row_argument(fcinfo, 2);
    for (int i = 0; i < given.desc->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(given.desc, i);
        int target = column->attisdropped ? -1 : now.find(column);
        if (target < 0 || !is_distinct(given, was, i)) continue;
        now.values[target] = given.values[i];
        now.nulls[target] = given.nulls[i];
    }
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(now.desc, now.values, now.nulls)));
}
