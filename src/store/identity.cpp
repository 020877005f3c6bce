#include "store/identity.hpp"

#include "pg/guards.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
bool is_ours() {
    enum { a_system = 1, a_database };
    bool any = false, foreign = false;
    Oid oid = get_relname_relid("identity", get_namespace_oid("pgqueue_internal", false));
    if (!OidIsValid(oid)) return false;
    pg::RelationRef rel(oid, AccessShareLock);
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(oid));
    TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        bool isnull;
        auto column = [&](int i) {
            return heap_getattr(tuple, i, RelationGetDescr(static_cast<Relation>(rel)), &isnull);
        };
        bool same_server = DatumGetInt64(column(a_system)) == static_cast<int64>(GetSystemIdentifier());
        foreign = foreign || !same_server || DatumGetObjectId(column(a_database)) != MyDatabaseId;
        any = true;
    }
    table_endscan(scan);
    UnregisterSnapshot(snapshot);
    return any && !foreign;
}

void hold() {
    static constinit Statement note{
        "INSERT INTO pgqueue_internal.identity (system_identifier, database) VALUES (0, 0)", 0, {}, nullptr};
    run_as_self(&note, nullptr, nullptr, nullptr, nullptr);
}

void adopt() {
    static constinit Statement take{"SELECT pgqueue_internal.adopt_rows($1)", 1, {OIDOID}, nullptr};
    Datum database = ObjectIdGetDatum(MyDatabaseId);
    // As superuser, so that the rights of the caller do not matter.
    Oid caller;
    int sec;
    GetUserIdAndSecContext(&caller, &sec);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec | SECURITY_LOCAL_USERID_CHANGE);
    {
        pg::ActiveSnapshot snapshot;
        run_as_self(&take, &database, nullptr, nullptr, nullptr);
    }
    SetUserIdAndSecContext(caller, sec);
}

}  // namespace pgqueue::store
