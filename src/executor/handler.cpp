#include "executor/handler.hpp"

#include "executor/apart.hpp"
#include "executor/as_other_role.hpp"
#include "executor/result.hpp"
#include "executor/statement.hpp"
#include "pg/error.hpp"
#include "pg/guards.hpp"

namespace pgqueue::executor {
namespace {

// The arguments of a step: the payload, for phase after the result, for phase failed the error. nullptr: NULL.
struct Arguments {
    const void *payload, *second;
};

constexpr Oid of_payload[] = {JSONBOID};
constexpr Oid of_result[] = {JSONBOID, JSONBOID};
constexpr Oid of_error[] = {JSONBOID, TEXTOID};

// Functions are found by name. If another role has replaced the registered function, its code would run with the rights
// of the handler's role. Only that role itself and superusers are trusted with that.
bool is_trusted(Oid owner, const HandlerStep &step) {
    return owner == step.owner || owner == step.role || superuser_arg(owner);
}

Oid owner_of(Oid function) {
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple)) return InvalidOid;
    Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->proowner;
    ReleaseSysCache(tuple);
    return owner;
}

// Returns the function of a step. Raises 42883 if there is none (any more), and 42501 if it is another one, or if its
// role has lost the right to be told of the tasks.
Oid find_function(const HandlerStep &step) {
    const char *name = step.function, *arguments = list_of_arguments(step.phase);
    if (!step.entitled)
        ereport(
            ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
            errmsg("function %s(%s) cannot run as role \"%s\"", name, arguments, GetUserNameFromId(step.role, true)),
            errdetail("The role that registered it has no privilege \"manage\" in the namespace any more."),
            errhint("Have a role with this privilege register it again with create_handler(), or call "
                    "delete_handler()."));
    const std::span<const Oid> types = arguments_of(step.phase);
    Oid oid = LookupFuncName(pg::qualified_name_list(name), static_cast<int>(types.size()), types.data(), true);
    if (!OidIsValid(oid) || get_func_prokind(oid) != PROKIND_FUNCTION)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function %s(%s) does not exist", name, arguments),
                errdetail("It is registered as a handler."));
    if (!is_trusted(owner_of(oid), step))
        ereport(
            ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
            errmsg("function %s(%s) belongs to another role than when it was registered as a handler", name, arguments),
            errhint("If it is meant, have role \"%s\" register it again: SELECT pgqueue.create_handler(type, "
                    "function, phase, namespace) FROM pgqueue.delete_handler(...);",
                    GetUserNameFromId(step.role, true)));
    return oid;
}

// Returns the function of exactly that name, whatever the current user may see; invalid: there is none.
Oid function_named(const HandlerStep &step) {
    char *schema, *function;
    DeconstructQualifiedName(pg::qualified_name_list(step.function), &schema, &function);
    Oid ns = schema != nullptr ? get_namespace_oid(schema, true) : InvalidOid;
    const std::span<const Oid> arguments = arguments_of(step.phase);
    oidvector *types = buildoidvector(arguments.data(), static_cast<int>(arguments.size()));
    return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(function), PointerGetDatum(types),
                           ObjectIdGetDatum(ns));
}

// Calls the function as an expression does: the executor checks the current user's right to EXECUTE.
Datum call_function(Oid function, std::span<const Oid> types, const Arguments &arguments, Oid *type, bool *isnull) {
    List *list = NIL;
    for (std::size_t i = 0; i < types.size(); i++) {
        const void *value = i == 0 ? arguments.payload : arguments.second;
        list = lappend(list, makeConst(types[i], -1, get_typcollation(types[i]), -1, PointerGetDatum(value),
                                       value == nullptr, false));
    }
    *type = get_func_rettype(function);
    FuncExpr *call = makeFuncExpr(function, *type, list, get_typcollation(*type), InvalidOid, COERCE_EXPLICIT_CALL);
    ExprState *state = ExecInitExpr(reinterpret_cast<Expr *>(call), nullptr);
    ExprContext *context = CreateStandaloneExprContext();
    return ExecEvalExpr(state, context, isnull);
}

// Runs one step as the current user and returns its result as jsonb in `keep`.
Jsonb *call_step(const HandlerStep &step, const Arguments &arguments, MemoryContext keep) {
    pg::TempContext scratch;
    pg::ActiveSnapshot snapshot;
    Oid type;
    bool isnull;
    Datum value = call_function(find_function(step), arguments_of(step.phase), arguments, &type, &isnull);
    CommandCounterIncrement();
    if (isnull || type == VOIDOID) return nullptr;
    Jsonb *json = whole_value(type, value);
    pg::MemoryScope scope(keep);
    auto *copy = static_cast<Jsonb *>(palloc(VARSIZE(json)));
    memcpy(copy, json, VARSIZE(json));
    return copy;
}

// Shows the step in the session's activity and, if the settings require it, in the log.
void announce(const char *text) {
    debug_query_string = text;
    pgstat_report_activity(STATE_RUNNING, text);
    set_ps_display("SELECT");
    if (log_statement == LOGSTMT_ALL) ereport(LOG, errmsg("statement: %s", text), errhidestmt(true));
}

struct Run {
    const HandlerCall *call;
    bool is_worker;
    MemoryContext keep;
};

// Runs a step under statement_timeout, as its role. Code of a role other than the handler's is kept apart from the
// session.
Jsonb *run_step(const Run &run, const HandlerStep &step, const Arguments &arguments) {
    CHECK_FOR_INTERRUPTS();
    if (run.is_worker) {
        announce(MemoryContextStrdup(run.keep, psprintf("SELECT %s(%s)", step.function,
                                                        arguments_of(step.phase).size() == 1 ? "$1" : "$1, $2")));
        begin_statement();
    }
    bool foreign = step.role != run.call->handle.role;
    Jsonb *result = nullptr;
    if (foreign) {
        fire_deferred(!run.is_worker);
        // Its settings remain only if its role may act as the handler's role anyway.
        Foreign visit = begin_foreign(step.role, pg::may_act_as(step.role, run.call->handle.role));
        run_apart([&] { call_step(step, arguments, run.keep); }, run.keep);
        end_foreign(visit);
    } else {
        result = call_step(step, arguments, run.keep);
    }
    CHECK_FOR_INTERRUPTS();
    if (run.is_worker) end_statement();
    return result;
}

Jsonb *run_all(const Run &run) {
    const HandlerCall &call = *run.call;
    for (const HandlerStep &step : call.before) run_step(run, step, {call.payload, nullptr});
    Jsonb *result = run_step(run, call.handle, {call.payload, nullptr});
    for (const HandlerStep &step : call.after) run_step(run, step, {call.payload, result});
    return result;
}

}  // namespace

Jsonb *run_handlers(const HandlerCall &call, bool is_worker, MemoryContext keep) {
    const Run run{&call, is_worker, keep};
    if (!is_worker) return run_all(run);
    Jsonb *result = nullptr;
    pg::with_cleanup([&] { result = run_all(run); },
                     [] {
                         end_statement();
                         debug_query_string = nullptr;
                     });
    return result;
}

void run_failed_step(const HandlerStep &step, Jsonb *payload, text *error) {
    const HandlerCall call{step, {}, {}, payload};
    const Run run{&call, true, CurrentMemoryContext};
    pg::with_cleanup(
        [&] {
            (void)run_step(run, step, {payload, error});
        },
        [] {
            end_statement();
            debug_query_string = nullptr;
        });
}

std::span<const Oid> arguments_of(Phase phase) {
    if (phase == Phase::After) return of_result;
    if (phase == Phase::Failed) return of_error;
    return of_payload;
}

const char *list_of_arguments(Phase phase) {
    if (phase == Phase::After) return "jsonb, jsonb";
    return phase == Phase::Failed ? "jsonb, text" : "jsonb";
}

const char *trouble_of_step(const HandlerStep &step) {
    const char *arguments = list_of_arguments(step.phase);
    Oid function = function_named(step);
    if (!step.entitled)
        return psprintf("role \"%s\", which registered function %s(%s), has no privilege \"manage\" any more",
                        GetUserNameFromId(step.role, true), step.function, arguments);
    if (!OidIsValid(function)) return psprintf("function %s(%s) does not exist", step.function, arguments);
    Oid owner = owner_of(function);
    if (is_trusted(owner, step)) return nullptr;
    return psprintf("function %s(%s) belongs to role \"%s\", which did not have it when it was registered",
                    step.function, arguments, GetUserNameFromId(owner, true));
}

}  // namespace pgqueue::executor
