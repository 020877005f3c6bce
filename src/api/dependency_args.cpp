#include "api/dependency_args.hpp"

#include "api/create_args.hpp"
#include "store/rows.hpp"

namespace pgqueue::api {
namespace {

int compare_ids(const void *a, const void *b) {
    int64 x = *static_cast<const int64 *>(a), y = *static_cast<const int64 *>(b);
    return x < y ? -1 : x > y;
}

// Returns the awaited tasks that have not ended well yet. The row keeps the array as given.
std::span<const int64> awaited_arg(FunctionCallInfo fcinfo, int32 ns_id, bool ignore, ArrayType **given) {
    if (PG_ARGISNULL(a_depends_on)) return {};
    *given = one_dimensional(PG_GETARG_ARRAYTYPE_P(a_depends_on), "depends_on");
    Datum *items;
    bool *nulls;
    int n;
    deconstruct_array(*given, INT8OID, 8, true, TYPALIGN_DOUBLE, &items, &nulls, &n);
    auto *ids = static_cast<int64 *>(palloc(sizeof(int64) * static_cast<Size>(n + 1)));
    for (int i = 0; i < n; i++) {
        if (nulls[i])
            ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("argument \"depends_on\" must not contain NULL"));
        ids[i] = DatumGetInt64(items[i]);
    }
    qsort(ids, static_cast<std::size_t>(n), sizeof(int64), compare_ids);
    std::size_t kept = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && ids[i] == ids[i - 1]) continue;
        task::DependencyEnd end = task::end_of_dependency(ids[i], ns_id);
        if (end == task::DependencyEnd::Unknown)
            ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("task " INT64_FORMAT " does not exist", ids[i]),
                    errhint("A task can depend only on existing tasks of its namespace."));
        if (end == task::DependencyEnd::Unfinished || (end == task::DependencyEnd::Bad && !ignore))
            ids[kept++] = ids[i];
    }
    return {ids, kept};
}

}  // namespace

task::Workflow dependency_args(FunctionCallInfo fcinfo, const store::NamespaceInfo &ns, store::NewTask *t) {
    std::string_view policy =
        PG_ARGISNULL(a_on_failed_dependency) ? "cancel" : text_arg(fcinfo, a_on_failed_dependency);
    bool ignore = policy == "ignore";
    task::Workflow w{ns.id, awaited_arg(fcinfo, ns.id, ignore, &t->depends_on),
                     key_arg(fcinfo, a_batch_key, "batch_key"),
                     key_arg(fcinfo, a_depends_on_batch, "depends_on_batch")};
    t->batch_key = w.batch_key;
    if (w.batch_key != nullptr) {
        t->flags |= flag_batch;
        if (w.awaits_batch != nullptr &&
            DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, PointerGetDatum(w.batch_key),
                                                 PointerGetDatum(w.awaits_batch))))
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("a task of a batch cannot wait for that batch"),
                    errhint("It would wait for itself; give it another batch_key, or none."));
    }
    if (w.awaits_batch == nullptr && w.awaited.empty()) return w;
    t->flags |= flag_depends | flag_waits;
    t->flags |= ignore ? flag_ignore_failed : policy == "hold" ? flag_hold_failed : int16(0);
    return w;
}

}  // namespace pgqueue::api
