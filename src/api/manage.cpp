#include "api/manage.hpp"

#include "api/call.hpp"
#include "pg/guards.hpp"

namespace pgqueue::api {
namespace {

// The input arguments of a function.
struct Arguments {
    int count = 0;
    Oid types[FUNC_MAX_ARGS];
    const char *names[FUNC_MAX_ARGS];

    // -1: there is none of this name and type.
    int find(const char *name, Oid type) const {
        for (int i = 0; i < count; i++)
            if (types[i] == type && strcmp(names[i], name) == 0) return i;
        return -1;
    }
};

Arguments arguments_of(Oid function) {
    Arguments in;
    HeapTuple t = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(t))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function %u does not exist", function));
    Oid *types;
    char **names, *modes;
    int all = get_func_arg_info(t, &types, &names, &modes);
    ReleaseSysCache(t);
    for (int i = 0; i < all; i++) {
        if (modes != nullptr && modes[i] != PROARGMODE_IN && modes[i] != PROARGMODE_INOUT) continue;
        in.types[in.count] = types[i];
        in.names[in.count++] = names != nullptr ? names[i] : "";
    }
    return in;
}

[[noreturn]] void no_inner(const char *name) {
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function pgqueue_internal.%s does not exist", name),
            errhint("Run ALTER EXTENSION pgqueue UPDATE."));
    pg_unreachable();
}

// The only function of this name in pgqueue_internal.
Oid inner_function(const char *name) {
    Oid schema = get_namespace_oid("pgqueue_internal", false), found = InvalidOid;
    CatCList *named = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
    for (int i = 0; i < named->n_members; i++) {
        auto form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(&named->members[i]->tuple));
        if (form->pronamespace == schema) found = form->oid;
    }
    ReleaseCatCacheList(named);
    if (!OidIsValid(found)) no_inner(name);
    return found;
}

// Where an argument of the inner function comes from.
struct Source {
    int outer;       // argument of the caller, -1: the row
    TupleDesc desc;  // of the row
    int *columns;    // for each of its columns the argument of the caller, -1 none
};

struct Inner {
    FmgrInfo info;
    int count;
    Source sources[FLEXIBLE_ARRAY_MEMBER];
};

Source row_source(Oid type, const Arguments &outer, bool *used) {
    TupleDesc desc = lookup_rowtype_tupdesc_copy(type, -1);
    Source row{-1, desc, static_cast<int *>(palloc(sizeof(int) * desc->natts))};
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(desc, i);
        row.columns[i] = column->attisdropped ? -1 : outer.find(NameStr(column->attname), column->atttypid);
        if (row.columns[i] >= 0) used[row.columns[i]] = true;
    }
    return row;
}

Inner *make_inner(Oid function, int count, MemoryContext context) {
    auto *inner =
        static_cast<Inner *>(MemoryContextAllocZero(context, offsetof(Inner, sources) + sizeof(Source) * count));
    fmgr_info_cxt(function, &inner->info, context);
    inner->count = count;
    return inner;
}

// The call that a call site makes.
Inner *find_inner(FmgrInfo *flinfo) {
    pg::MemoryScope scope(flinfo->fn_mcxt);
    const char *name = get_func_name(flinfo->fn_oid);
    Oid function = inner_function(name);
    const Arguments outer = arguments_of(flinfo->fn_oid), wanted = arguments_of(function);
    Inner *inner = make_inner(function, wanted.count, flinfo->fn_mcxt);
    bool used[FUNC_MAX_ARGS] = {};
    for (int i = 0; i < wanted.count; i++) {
        int from = outer.find(wanted.names[i], wanted.types[i]);
        if (from < 0 && get_typtype(wanted.types[i]) != TYPTYPE_COMPOSITE) no_inner(name);
        if (from >= 0) used[from] = true;
        inner->sources[i] = from >= 0 ? Source{from, nullptr, nullptr} : row_source(wanted.types[i], outer, used);
    }
    for (int i = 0; i < outer.count; i++)
        if (!used[i]) no_inner(name);
    return inner;
}

NullableDatum make_row(const Source &source, FunctionCallInfo fcinfo) {
    int columns = source.desc->natts;
    auto *values = static_cast<Datum *>(palloc0(sizeof(Datum) * columns));
    auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * columns));
    for (int i = 0; i < columns; i++) {
        int from = source.columns[i];
        nulls[i] = from < 0 || fcinfo->args[from].isnull;
        if (!nulls[i]) values[i] = fcinfo->args[from].value;
    }
    return {HeapTupleGetDatum(heap_form_tuple(source.desc, values, nulls)), false};
}

Datum invoke(FunctionCallInfo fcinfo, Inner *inner) {
    auto *call = static_cast<FunctionCallInfo>(palloc(SizeForFunctionCallInfo(inner->count)));
    inner->info.fn_expr = fcinfo->flinfo->fn_expr;
    InitFunctionCallInfoData(*call, &inner->info, inner->count, fcinfo->fncollation, fcinfo->context,
                             fcinfo->resultinfo);
    for (int i = 0; i < inner->count; i++) {
        const Source &from = inner->sources[i];
        call->args[i] = from.outer >= 0 ? fcinfo->args[from.outer] : make_row(from, fcinfo);
    }
    Datum result = invoke_as_owner(call);
    fcinfo->isnull = call->isnull;
    return result;
}

}  // namespace

Datum manage(FunctionCallInfo fcinfo) {
    if (fcinfo->flinfo->fn_extra == nullptr) fcinfo->flinfo->fn_extra = find_inner(fcinfo->flinfo);
    return invoke(fcinfo, static_cast<Inner *>(fcinfo->flinfo->fn_extra));
}

}  // namespace pgqueue::api

using namespace pgqueue;
using namespace pgqueue::api;

PGQ_FUNCTION(pgqueue_manage) { return manage(fcinfo); }

// Trigger of the views. Runs the trigger function of pgqueue_internal that its argument names, as the extension's
// owner.
PGQ_FUNCTION(pgqueue_internal_as_owner) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("not called as a trigger"));
    const Trigger *trigger = reinterpret_cast<TriggerData *>(fcinfo->context)->tg_trigger;
    if (trigger->tgnargs != 1)
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("trigger names no function"));
    if (fcinfo->flinfo->fn_extra == nullptr)
        fcinfo->flinfo->fn_extra = make_inner(inner_function(trigger->tgargs[0]), 0, fcinfo->flinfo->fn_mcxt);
    return invoke(fcinfo, static_cast<Inner *>(fcinfo->flinfo->fn_extra));
}
