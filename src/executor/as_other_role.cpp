#include "executor/as_other_role.hpp"

#include "pg/guards.hpp"

namespace pgqueue::executor {
namespace {

constexpr const char *default_path = "\"$user\", public";

// Returns the search_path in the settings of a database and a role (each may be invalid: all); nullptr: there is none.
char *stored_path(Relation rel, Oid database, Oid role) {
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(database));
    ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
    SysScanDesc scan = systable_beginscan(rel, DbRoleSettingDatidRolidIndexId, true, nullptr, 2, keys);
    HeapTuple tuple = systable_getnext(scan);
    char *path = nullptr;
    bool isnull = true;
    Datum settings = HeapTupleIsValid(tuple)
                         ? heap_getattr(tuple, Anum_pg_db_role_setting_setconfig, RelationGetDescr(rel), &isnull)
                         : Datum(0);
    if (!isnull) {
        constexpr std::string_view name = "search_path=";
        Datum *items;
        int n;
        deconstruct_array(DatumGetArrayTypeP(settings), TEXTOID, -1, false, TYPALIGN_INT, &items, nullptr, &n);
        for (int i = 0; i < n; i++) {
            char *item = TextDatumGetCString(items[i]);
            if (strncmp(item, name.data(), name.size()) == 0) path = item + name.size();
        }
    }
    systable_endscan(scan);
    return path;
}

// Returns the search path with which a session of the role begins. Temporary objects come last, because those of this
// session belong to another role.
char *path_of(Oid role) {
    pg::RelationRef rel(DbRoleSettingRelationId, AccessShareLock);
    const Oid places[4][2] = {
        {MyDatabaseId, role}, {InvalidOid, role}, {MyDatabaseId, InvalidOid}, {InvalidOid, InvalidOid}};
    const char *path = nullptr;
    for (int i = 0; i < 4 && path == nullptr; i++) path = stored_path(rel, places[i][0], places[i][1]);
    if (path == nullptr) path = default_path;
    return psprintf("%s%spg_temp", path, *path == '\0' ? "" : ", ");
}

// Returns whether this transaction has created objects in the session's temporary schema since then. In a restricted
// operation the server refuses only tables and views there.
bool made_temporary_objects(CommandId since) {
    Oid schema, toast;
    GetTempNamespaceState(&schema, &toast);
    if (!OidIsValid(schema)) return false;
    pg::RelationRef depend(DependRelationId, AccessShareLock);
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(NamespaceRelationId));
    ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(schema));
    SysScanDesc scan = systable_beginscan(depend, DependReferenceIndexId, true, nullptr, 2, keys);
    bool found = false;
    while (HeapTuple tuple = found ? nullptr : systable_getnext(scan)) {
        HeapTupleHeader header = tuple->t_data;
        found = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(header)) &&
                HeapTupleHeaderGetCmin(header) >= since;
    }
    systable_endscan(scan);
    return found;
}

// Settings that affect how texts are read and which rows are visible. Code usually expects these values, and the
// session may have set others.
struct Usual {
    const char *name, *value;
};
constexpr Usual usual[] = {{"standard_conforming_strings", "on"},
                           {"backslash_quote", "safe_encoding"},
                           {"transform_null_equals", "off"},
                           {"array_nulls", "on"},
                           {"row_security", "on"}};

void set_here(const char *name, const char *value) {
    (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

}  // namespace

void fire_deferred(bool inside_query) {
    if (inside_query) {
        ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);
        AfterTriggerSetState(all);
    } else {
        AfterTriggerFireDeferred();
    }
}

Foreign begin_foreign(Oid role, bool keep_settings) {
    if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
                errmsg("role of a function around the handler (%u) does not exist", role),
                errhint("Register the function again, or remove it with delete_handler()."));
    Foreign visit{};
    CommandCounterIncrement();
    visit.since = GetCurrentCommandId(false);
    visit.keep_settings = keep_settings;
    GetUserIdAndSecContext(&visit.user, &visit.sec);
    SetUserIdAndSecContext(role, visit.sec | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    visit.nest = NewGUCNestLevel();
    set_here("search_path", path_of(role));
    for (const Usual &u : usual) set_here(u.name, u.value);
    return visit;
}

void end_foreign(const Foreign &visit) {
    CommandCounterIncrement();
    if (made_temporary_objects(visit.since))
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                errmsg("cannot create temporary objects in the session of another role"));
    AtEOXact_GUC(visit.keep_settings, visit.nest);
    SetUserIdAndSecContext(visit.user, visit.sec);
}

}  // namespace pgqueue::executor
