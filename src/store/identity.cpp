#include "store/identity.hpp"

#include "pg/guards.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
Identity read_identity() {
    enum { a_system = 1, a_database, a_version };
    Identity id{true, 0};
    Oid oid = get_relname_relid("identity", get_namespace_oid("pgqueue_internal", false));
    if (!OidIsValid(oid)) return {false, 0};
    pg::RelationRef rel(oid, AccessShareLock);
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(oid));
    TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        bool isnull;
        auto column = [&](int i) { return heap_getattr(tuple, i, RelationGetDescr(static_cast<Relation>(rel)), &isnull); };
        bool same_server = DatumGetInt64(column(a_system)) == static_cast<int64>(GetSystemIdentifier());
        id.ours = id.ours && same_server && DatumGetObjectId(column(a_database)) == MyDatabaseId;
        id.schema_version = Max(id.schema_version, DatumGetInt32(column(a_version)));
    }
    table_endscan(scan);
    UnregisterSnapshot(snapshot);
    id.ours = id.ours && id.schema_version > 0;
    return id;
}

void hold() {
    static constinit Statement note{
        "INSERT INTO pgqueue_internal.identity (system_identifier, database, schema_version) VALUES (0, 0, $1)",
        1, {INT4OID}, nullptr};
    Datum version = Int32GetDatum(schema_version);
    run_as_self(&note, &version, nullptr, nullptr, nullptr);
}

void adopt() {
    static constinit Statement take{"SELECT pgqueue_internal.adopt_rows($1, $2)", 2, {OIDOID, INT4OID}, nullptr};
    Datum values[2] = {ObjectIdGetDatum(MyDatabaseId), Int32GetDatum(schema_version)};
    // As superuser: the rights of whoever adopts do not matter here.
    Oid caller;
    int sec;
    GetUserIdAndSecContext(&caller, &sec);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec | SECURITY_LOCAL_USERID_CHANGE);
    {
        pg::ActiveSnapshot snapshot;
        run_as_self(&take, values, nullptr, nullptr, nullptr);
    }
    SetUserIdAndSecContext(caller, sec);
}

}  // namespace pgqueue::store
