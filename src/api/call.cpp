#include "api/call.hpp"

#include "api/nearest.hpp"
#include "config/server_settings.hpp"
#include "memory/registry.hpp"
#include "pg/error.hpp"
#include "store/queues.hpp"
#include "store/statement.hpp"

namespace pgqueue::api {
namespace {

// The calling role, while a function of schema pgqueue runs as the extension's owner.
constinit Oid noted_caller = InvalidOid;

Oid extension_owner() {
    Oid ns = get_namespace_oid("pgqueue", false);
    HeapTuple t = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(ns));
    if (!HeapTupleIsValid(t))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_SCHEMA), errmsg("schema \"pgqueue\" does not exist"));
    Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(t))->nspowner;
    ReleaseSysCache(t);
    return owner;
}

}  // namespace

Oid caller() { return OidIsValid(noted_caller) ? noted_caller : GetUserId(); }

namespace {

// What SQL functions have required of the caller in the calls that are open. Only the last ones are kept, which is
// enough: a call acts in one namespace.
struct Requirement {
    int32 ns_id;
    unsigned privilege;
};
constexpr uint32 requirements_kept = 8;
constinit Requirement requirements[requirements_kept];
constinit uint32 required = 0;

// Ownership is asked for under the lock of the namespace (pgqueue_internal.lock_owned), and may be given away.
void note_requirement(int32 ns_id, unsigned privilege) {
    if (!OidIsValid(noted_caller) || privilege == store::priv_owner) return;
    requirements[required++ % requirements_kept] = {ns_id, privilege};
}

// Asks for those since `from` again: while the call waited for a lock, one may have been revoked. What it has done is
// then rolled back by the error.
void require_again(uint32 from) {
    if (required == from) return;
    see_revocations();
    for (uint32 i = required - Min(required - from, requirements_kept); i != required; i++) {
        const Requirement &r = requirements[i % requirements_kept];
        if (const store::NamespaceInfo *ns = store::namespace_by_id(r.ns_id)) require(*ns, r.privilege);
    }
}

}  // namespace

Datum invoke_as_owner(FunctionCallInfo fcinfo) {
    Oid user, outer = noted_caller, owner = extension_owner();
    int sec;
    GetUserIdAndSecContext(&user, &sec);
    const bool inner = OidIsValid(outer) && user == owner && (sec & SECURITY_LOCAL_USERID_CHANGE);
    noted_caller = inner ? outer : user;
    SetUserIdAndSecContext(owner, sec | SECURITY_LOCAL_USERID_CHANGE);
    const int replication_role = std::exchange(SessionReplicationRole, SESSION_REPLICATION_ROLE_ORIGIN);
    const uint32 before = required;
    Datum result = Datum(0);
    pg::with_cleanup(
        [&] {
            pg::hide_context([&] { result = FunctionCallInvoke(fcinfo); });
            if (!inner) require_again(before);
        },
        [=] {
            noted_caller = outer;
            if (!inner) required = before;
            SessionReplicationRole = replication_role;
            SetUserIdAndSecContext(user, sec);
        });
    return result;
}

void see_revocations() {
    AcceptInvalidationMessages();
    store::refresh_catalog();
}

void check_call(const char *function, bool writes) {
    if (!memory::loaded())
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("pgqueue is not preloaded, %s cannot work", function),
                errdetail("The library must be loaded when the server starts."),
                errhint("Add pgqueue to shared_preload_libraries in postgresql.conf and restart the server."));
    see_revocations();
    if (!writes) return;
    if (RecoveryInProgress())
        ereport(ERROR, errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot execute %s on a standby", function),
                errhint("Call it on the primary server; the views work here."));
    if (XactReadOnly)
        ereport(ERROR, errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                errmsg("cannot execute %s in a read-only transaction", function));
    PreventCommandIfParallelMode(function);
}

char *normalize(const char *kind, const char *raw) {
    if (raw == nullptr) ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be NULL", kind));
    char *out = static_cast<char *>(palloc(name_limit + 1));
    if (!normalize_name(raw, out))
        ereport(ERROR, errcode(ERRCODE_INVALID_NAME), errmsg("invalid %s name: \"%s\"", kind, raw),
                errhint("A name begins with a letter and has at most 64 letters, digits, underscores and hyphens."));
    return out;
}

namespace {

// Returns a hint for a wrong name, among the names that the caller may see; nullptr: no name is near.
const char *near_namespace(const char *wanted) {
    Nearest nearest = nearest_to(wanted);
    for (const store::NamespaceInfo &n : store::all_namespaces())
        if (store::privileges_of(caller(), n.id) != 0) consider(&nearest, n.name);
    return perhaps(nearest, "namespace");
}

const char *near_queue(const store::NamespaceInfo &ns, const char *wanted) {
    static constinit store::Statement near{
        "SELECT pgqueue_internal.near_queue($1, $2)", 2, {INT4OID, TEXTOID}, nullptr};
    if (store::privileges_of(caller(), ns.id) == 0) return nullptr;
    const char *hint = nullptr;
    Datum values[] = {Int32GetDatum(ns.id), CStringGetTextDatum(wanted)};
    store::each_row(&near, values, [&hint](const store::ResultRow &row) {
        bool isnull;
        Datum d = row.get(1, &isnull);
        hint = isnull ? nullptr : TextDatumGetCString(d);
    });
    return hint;
}

}  // namespace

const store::NamespaceInfo &find_namespace(const char *name) {
    const char *wanted = normalize("namespace", name != nullptr ? name : config::current_namespace);
    const store::NamespaceInfo *ns = store::namespace_by_name(wanted);
    if (ns == nullptr) {
        const char *other = near_namespace(wanted);
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("namespace \"%s\" does not exist", wanted),
                name == nullptr    ? errhint("It is the session's namespace: see SHOW pgqueue.namespace.")
                : other != nullptr ? errhint("%s", other)
                                   : errhint("See the view pgqueue.namespace."));
    }
    return *ns;
}

namespace {

// Returns the queue of a name. If shared memory does not know it, it may be gone, or have a new id after a purge.
// Shared memory learns of that slightly before the catalog caches do, so these are read again.
const store::QueueInfo *queue_now(int32 ns_id, const char *name) {
    memory::SlotNo db = memory::loaded() ? memory::find_database(MyDatabaseId) : -1;
    const store::QueueInfo *q = store::queue_by_name(ns_id, name);
    if (db < 0 || q == nullptr || memory::is_queue_known(db, q->id)) return q;
    for (int tries = 0; tries < 1000; tries++) {
        AcceptInvalidationMessages();
        q = store::queue_by_name(ns_id, name);
        if (q == nullptr || !memory::is_queue_dropped(db, q->id)) break;
        CHECK_FOR_INTERRUPTS();
        pg_usleep(100);
    }
    return q;
}

}  // namespace

const store::QueueInfo &find_queue(const store::NamespaceInfo &ns, const char *name) {
    const char *wanted = normalize("queue", name);
    const store::QueueInfo *q = queue_now(ns.id, wanted);
    if (q == nullptr) {
        const char *other = near_queue(ns, wanted);
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
                errmsg("queue \"%s\" does not exist in namespace \"%s\"", wanted, ns.name),
                other != nullptr
                    ? errhint("%s", other)
                    : errhint("Create it with SELECT pgqueue.create_queue('%s', namespace => '%s').", wanted, ns.name));
    }
    return *q;
}

void refuse_system(const store::NamespaceInfo &ns) {
    if (ns.id == store::system_namespace)
        ereport(ERROR, errcode(ERRCODE_RESERVED_NAME), errmsg("namespace \"%s\" is reserved for system use", ns.name),
                errhint("Name another namespace."));
}

bool may(int32 ns_id, unsigned privilege) { return (store::privileges_of(caller(), ns_id) & privilege) != 0; }

void require(const store::NamespaceInfo &ns, unsigned privilege) {
    if (may(ns.id, privilege)) return;
    char *role = GetUserNameFromId(caller(), false);
    const char *word = privilege & store::priv_use      ? "use"
                       : privilege & store::priv_work   ? "work"
                       : privilege & store::priv_manage ? "manage"
                       : privilege & store::priv_read   ? "read"
                                                        : "owner";
    if (privilege == store::priv_owner)
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                errmsg("permission denied for namespace \"%s\"", ns.name),
                errdetail("Role \"%s\" does not own it.", role),
                errhint("Only its owner and members of pgqueue_admin may do that."));
    ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for namespace \"%s\"", ns.name),
            errdetail("Role \"%s\" lacks the privilege \"%s\".", role, word),
            errhint("SELECT pgqueue.grant_namespace('%s', '%s', '%s');", ns.name, word, role));
}

void require_admin() {
    Oid role = caller();
    Oid admin = get_role_oid("pgqueue_admin", true);
    if (superuser_arg(role) || (OidIsValid(admin) && has_privs_of_role(role, admin))) return;
    char *name = GetUserNameFromId(role, false);
    ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for pgqueue"),
            errdetail("Role \"%s\" is not a member of pgqueue_admin.", name),
            errhint("GRANT pgqueue_admin TO %s;", quote_identifier(name)));
}

bool is_mine(int32 role_id) {
    Oid role = store::role_oid_of(role_id);
    return OidIsValid(role) && has_privs_of_role(caller(), role);
}

void no_task(int64 id) {
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("task " INT64_FORMAT " does not exist", id),
            errhint("It may have been cleaned away, or belong to another namespace; see the view pgqueue.task."));
    pg_unreachable();
}

const char *tasks_of(int64 n, const char *kind) {
    return psprintf(INT64_FORMAT " %s%stask%s", n, kind, *kind != '\0' ? " " : "", n == 1 ? "" : "s");
}

bool is_shut_out(Oid role) {
    HeapTuple t = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
    if (!HeapTupleIsValid(t)) return false;
    const bool can_login = reinterpret_cast<Form_pg_authid>(GETSTRUCT(t))->rolcanlogin;
    ReleaseSysCache(t);
    return can_login && !pg::may_connect(role);
}

const char *grant_connect(const char *role) {
    return psprintf("GRANT CONNECT ON DATABASE %s TO %s;", quote_identifier(get_database_name(MyDatabaseId)),
                    pstrdup(quote_identifier(role)));
}

text *checked_key(text *key, const char *argument) {
    constexpr int longest = 1000;
    int bytes = static_cast<int>(VARSIZE_ANY_EXHDR(key));
    if (bytes == 0 || bytes > longest)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("%s must have 1 to %d bytes", argument, longest), errdetail("It has %d.", bytes),
                bytes == 0 ? errhint("Use NULL for a task without one.") : errhint("Use a hash of it."));
    return key;
}

ArrayType *one_dimensional(ArrayType *value, const char *name) {
    if (ARR_NDIM(value) > 1)
        ereport(ERROR, errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
                errmsg("argument \"%s\" must be a one-dimensional array", name),
                errdetail("It has %d dimensions.", ARR_NDIM(value)));
    return value;
}

int64 micros_of(const Interval *i) {
    __int128 micros =
        i->time + (static_cast<__int128>(i->day) + static_cast<__int128>(i->month) * DAYS_PER_MONTH) * USECS_PER_DAY;
    constexpr __int128 most = END_TIMESTAMP;
    return static_cast<int64>(micros > most ? most : micros < -most ? -most : micros);
}

}  // namespace pgqueue::api

using namespace pgqueue;
using namespace pgqueue::api;

PGQ_FUNCTION(pgqueue_internal_caller) {
    (void)fcinfo;
    PG_RETURN_OID(caller());
}

PGQ_FUNCTION(pgqueue_internal_check_call) {
    check_call(text_arg(fcinfo, 0), PG_GETARG_BOOL(1));
    PG_RETURN_VOID();
}

namespace {

unsigned privilege_bits(const char *word) {
    constexpr std::pair<std::string_view, unsigned> words[] = {
        {"use", store::priv_use},         {"work", store::priv_work},   {"manage", store::priv_manage},
        {"read", store::priv_read},       {"owner", store::priv_owner}, {"see", store::priv_all | store::priv_monitor},
        {"monitor", store::priv_monitor}, {"look", store::priv_look}};
    for (auto [name, bits] : words)
        if (name == word) return bits;
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for \"privilege\": \"%s\"", word),
            errhint("Valid values: use, work, manage, read."));
    pg_unreachable();
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_require) {
    not_null(fcinfo, 1, "privilege");
    char *word = text_arg(fcinfo, 1);
    if (strcmp(word, "admin") == 0) {
        require_admin();
        PG_RETURN_VOID();
    }
    not_null(fcinfo, 0, "namespace_id");
    see_revocations();
    const store::NamespaceInfo *ns = store::namespace_by_id(PG_GETARG_INT32(0));
    if (ns == nullptr) ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("namespace does not exist"));
    require(*ns, privilege_bits(word));
    note_requirement(ns->id, privilege_bits(word));
    PG_RETURN_VOID();
}

PGQ_FUNCTION(pgqueue_internal_may) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) PG_RETURN_BOOL(false);
    see_revocations();
    PG_RETURN_BOOL(may(PG_GETARG_INT32(0), privilege_bits(text_arg(fcinfo, 1))));
}

PGQ_FUNCTION(pgqueue_internal_is_mine) {
    if (PG_ARGISNULL(0)) PG_RETURN_BOOL(false);
    PG_RETURN_BOOL(is_mine(PG_GETARG_INT32(0)));
}

PGQ_FUNCTION(pgqueue_internal_role_of) { PG_RETURN_TEXT_P(cstring_to_text(store::shown_role(PG_GETARG_INT32(0)))); }

PGQ_FUNCTION(pgqueue_internal_role_of_key) {
    Oid role = store::role_oid_of(PG_GETARG_INT32(0));
    if (!OidIsValid(role)) PG_RETURN_NULL();
    PG_RETURN_OID(role);
}

PGQ_FUNCTION(pgqueue_internal_note_role) { PG_RETURN_INT32(store::role_id_of(PG_GETARG_OID(0))); }

PGQ_FUNCTION(pgqueue_internal_this_cluster) {
    (void)fcinfo;
    PG_RETURN_INT64(static_cast<int64>(GetSystemIdentifier()));
}

PGQ_FUNCTION(pgqueue_internal_normalize_name) {
    PG_RETURN_TEXT_P(cstring_to_text(normalize(text_arg(fcinfo, 0), text_arg(fcinfo, 1))));
}

PGQ_FUNCTION(pgqueue_internal_resolve_namespace) { PG_RETURN_INT32(find_namespace(text_arg(fcinfo, 0)).id); }
