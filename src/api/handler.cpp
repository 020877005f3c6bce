// create_handler, delete_handler and DML on the view: qualify names of functions as the caller sees them. The rest is
// SQL.
#include "api/call.hpp"
#include "api/manage.hpp"

#include "executor/handler.hpp"
#include "task/route.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

enum Arg { h_type, h_function, h_phase, h_namespace };

Oid look_up(const char *name, Phase phase) {
    const std::span<const Oid> types = executor::arguments_of(phase);
    return LookupFuncName(pg::qualified_name_list(name), static_cast<int>(types.size()), types.data(), true);
}

// Returns whether the caller may look into the schema of a name.
bool may_look_up(const char *name) {
    char *schema, *function;
    DeconstructQualifiedName(pg::qualified_name_list(name), &schema, &function);
    const Oid oid = schema != nullptr ? get_namespace_oid(schema, true) : InvalidOid;
    return !OidIsValid(oid) || pg::may_use_schema(oid, caller());
}

text *whole_name(Oid function) {
    char *schema = get_namespace_name(get_func_namespace(function));
    char *name = get_func_name(function);
    if (schema == nullptr || name == nullptr)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function %u does not exist", function));
    return cstring_to_text(quote_qualified_identifier(schema, name));
}

// Returns the schema-qualified name of a function that can be a handler of this phase for the calling role.
text *usable_function(const char *name, Phase phase) {
    Oid oid = look_up(name, phase);
    const char *arguments = executor::list_of_arguments(phase);
    if (!OidIsValid(oid))
        ereport(
            ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function %s(%s) does not exist", name, arguments),
            errhint("A handler is a function of payload jsonb; of phase after, of payload jsonb and result jsonb; of "
                    "phase failed, of payload jsonb and error text."));
    if (get_func_prokind(oid) != PROKIND_FUNCTION || get_func_retset(oid))
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s(%s) cannot be a handler", name, arguments),
                errdetail("It is a procedure, an aggregate or returns a set."),
                errhint("Call it from a function that returns one value or void."));
    if (!pg::may_execute(oid, caller()))
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                errmsg("permission denied for function %s(%s)", name, arguments),
                errdetail("A handler runs as the role that registers it."),
                errhint("GRANT EXECUTE ON FUNCTION %s(%s) TO %s;", name, arguments,
                        quote_identifier(GetUserNameFromId(caller(), false))));
    return whole_name(oid);
}

// The owner of the function can replace code that runs with the caller's rights.
void warn_of_owner(Oid function, const char *arguments) {
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple)) return;
    const Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->proowner;
    ReleaseSysCache(tuple);
    if (pg::may_act_as(owner, caller())) return;
    ereport(WARNING,
            errmsg("the handler runs as role \"%s\", and its function belongs to role \"%s\"",
                   GetUserNameFromId(caller(), false), GetUserNameFromId(owner, true)),
            errdetail("The owner of the function can make it do anything with the rights of the first role."),
            errhint("ALTER FUNCTION %s(%s) OWNER TO %s;", text_to_cstring(whole_name(function)), arguments,
                    quote_identifier(GetUserNameFromId(caller(), false))));
}

const char *phase_arg(FunctionCallInfo fcinfo) { return PG_ARGISNULL(h_phase) ? "handle" : text_arg(fcinfo, h_phase); }

void set_function(FunctionCallInfo fcinfo, text *function) {
    fcinfo->args[h_function].value = PointerGetDatum(function);
}

}  // namespace

PGQ_FUNCTION(pgqueue_create_handler) {
    check_call("create_handler", true);
    not_null(fcinfo, h_type, "type");
    not_null(fcinfo, h_function, "function");
    Phase phase;
    // The SQL function refuses a wrong word.
    const bool known = read_phase(phase_arg(fcinfo), &phase);
    const char *name = text_arg(fcinfo, h_function);
    if (known) set_function(fcinfo, usable_function(name, phase));
    Datum made = manage(fcinfo);
    if (known) warn_of_owner(look_up(name, phase), executor::list_of_arguments(phase));
    return made;
}

PGQ_FUNCTION(pgqueue_delete_handler) {
    check_call("delete_handler", true);
    not_null(fcinfo, h_type, "type");
    Phase phase;
    if (!PG_ARGISNULL(h_function) && read_phase(phase_arg(fcinfo), &phase)) {
        // The function may be gone, or in a schema of somebody else. Then the name must be given as the view shows it.
        const char *name = text_arg(fcinfo, h_function);
        Oid oid = may_look_up(name) ? look_up(name, phase) : InvalidOid;
        if (OidIsValid(oid)) set_function(fcinfo, whole_name(oid));
    }
    return manage(fcinfo);
}

PGQ_FUNCTION(pgqueue_internal_handler_function) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("not called as a trigger"));
    auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    HeapTuple tuple = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
    TupleDesc desc = RelationGetDescr(data->tg_relation);
    int function_column = SPI_fnumber(desc, "function");
    bool isnull;
    Datum phase = heap_getattr(tuple, SPI_fnumber(desc, "phase"), desc, &isnull);
    Phase read;
    const bool known = read_phase(isnull ? "handle" : TextDatumGetCString(phase), &read);
    Datum function = heap_getattr(tuple, function_column, desc, &isnull);
    if (isnull)
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                errmsg("column \"function\" of view \"handler\" must not be NULL"));
    if (!known) return PointerGetDatum(tuple);
    Datum whole = PointerGetDatum(usable_function(TextDatumGetCString(function), read));
    warn_of_owner(look_up(TextDatumGetCString(function), read), executor::list_of_arguments(read));
    bool null = false;
    return PointerGetDatum(heap_modify_tuple_by_cols(tuple, desc, 1, &function_column, &whole, &null));
}

// Ignores the caller's rights on functions: the calling view shows the result only to roles that it concerns.
PGQ_FUNCTION(pgqueue_internal_handler_trouble) {
    HandlerStep step{text_arg(fcinfo, 0), PG_GETARG_OID(2), PG_GETARG_OID(3), Phase::Handle,
                     task::may_handle(PG_GETARG_OID(2), PG_GETARG_INT32(4))};
    (void)read_phase(text_arg(fcinfo, 1), &step.phase);
    const char *trouble = executor::trouble_of_step(step);
    if (trouble == nullptr) PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text(trouble));
}
