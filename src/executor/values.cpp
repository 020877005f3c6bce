// A single value as jsonb: the usual types by hand, all others through to_jsonb().
#include "executor/result.hpp"

#include "pg/error.hpp"

namespace pgqueue::executor {
namespace {

// A jsonb string over a C string.
JsonbValue string_of(char *text) {
    JsonbValue v;
    v.type = jbvString;
    v.val.string.val = text;
    v.val.string.len = int(strlen(text));
    return v;
}

JsonbValue string_of(text *t) {
    JsonbValue v;
    v.type = jbvString;
    v.val.string.val = VARDATA_ANY(t);
    v.val.string.len = int(VARSIZE_ANY_EXHDR(t));
    return v;
}

JsonbValue number_of(Numeric n) {
    JsonbValue v;
    v.type = jbvNumeric;
    v.val.numeric = n;
    return v;
}

// A number from its text, or the text when JSON has no such number (NaN, Infinity).
JsonbValue number_or_text(char *text) {
    if (strpbrk(text, "nN") != nullptr) return string_of(text);
    return number_of(DatumGetNumeric(
        DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
}

JsonbValue numeric_value(Numeric n) {
    if (numeric_is_nan(n) || numeric_is_inf(n)) {
        return string_of(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(n))));
    }
    return number_of(n);
}

JsonbValue bool_value(bool b) {
    JsonbValue v;
    v.type = jbvBool;
    v.val.boolean = b;
    return v;
}

// Converts a value of one of the usual types; false for all others.
bool convert_usual(Oid type, Datum value, JsonbValue *out) {
    switch (type) {
        case INT2OID: *out = number_of(int64_to_numeric(DatumGetInt16(value))); return true;
        case INT4OID: *out = number_of(int64_to_numeric(DatumGetInt32(value))); return true;
        case INT8OID: *out = number_of(int64_to_numeric(DatumGetInt64(value))); return true;
        case NUMERICOID: *out = numeric_value(DatumGetNumericCopy(value)); return true;
        case FLOAT4OID: *out = number_or_text(DatumGetCString(DirectFunctionCall1(float4out, value))); return true;
        case FLOAT8OID: *out = number_or_text(DatumGetCString(DirectFunctionCall1(float8out, value))); return true;
        case BOOLOID: *out = bool_value(DatumGetBool(value)); return true;
        case TEXTOID:
        case VARCHAROID:
        case BPCHAROID: *out = string_of(DatumGetTextPCopy(value)); return true;
        case DATEOID:
        case TIMESTAMPOID:
        case TIMESTAMPTZOID: *out = string_of(JsonEncodeDateTime(nullptr, value, type, nullptr)); return true;
        case VOIDOID: *out = string_of(pstrdup("")); return true;
        default: return false;
    }
}

// Calls to_jsonb(anyelement) for a value of any type.
Jsonb *call_to_jsonb(Oid type, Datum value) {
    FmgrInfo function;
    fmgr_info(F_TO_JSONB, &function);
    Const *argument = makeNullConst(type, -1, InvalidOid);
    FuncExpr *call =
        makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
    fmgr_info_set_expr(reinterpret_cast<Node *>(call), &function);
    return DatumGetJsonbP(FunctionCall1(&function, value));
}

// True for an error that says that jsonb cannot hold a value; anything else (a cancel, no memory) goes on.
bool says_not_jsonb(int sqlstate) {
    const int category = ERRCODE_TO_CATEGORY(sqlstate);
    return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

// Converts a value of an unusual type. What to_jsonb() refuses (json with \u0000) is shown as its text, for the task
// itself went well.
JsonbValue convert_any(Oid type, Datum value) {
    Jsonb *converted = nullptr;
    if (IsInParallelMode()) {
        // A subtransaction cannot start here.
        converted = call_to_jsonb(type, value);
    } else {
        const pg::Outcome outcome =
            pg::run_in_subtransaction([&] { converted = call_to_jsonb(type, value); }, CurrentMemoryContext);
        if (!outcome.ok && !says_not_jsonb(outcome.error.sqlstate)) {
            ereport(ERROR, errcode(outcome.error.sqlstate), errmsg_internal("%s", outcome.error.message));
        }
    }
    if (converted == nullptr) {
        Oid output;
        bool is_varlena;
        getTypeOutputInfo(type, &output, &is_varlena);
        return string_of(OidOutputFunctionCall(output, value));
    }
    JsonbValue v;
    JsonbToJsonbValue(converted, &v);
    return v;
}

}  // namespace

void push_value(JsonbParseState **state, JsonbIteratorToken place, Oid type, Datum value, bool is_null) {
    JsonbValue v;
    if (is_null) {
        v.type = jbvNull;
    } else if (!convert_usual(type, value, &v)) {
        v = convert_any(type, value);
    }
    pushJsonbValue(state, place, &v);
}

Jsonb *whole_value(Oid type, Datum value) {
    if (type == JSONBOID) return DatumGetJsonbP(value);
    JsonbValue v;
    if (!convert_usual(type, value, &v)) v = convert_any(type, value);
    return JsonbValueToJsonb(&v);
}

}  // namespace pgqueue::executor
