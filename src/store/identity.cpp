#include "store/identity.hpp"

#include "pg/guards.hpp"

namespace pgqueue::store {
namespace {

// Runs the statements; the caller has made itself superuser, as the rights of whoever adopts do not matter here.
void run_all(std::span<const char *const> statements) {
    for (const char *sql : statements)
        if (SPI_execute(sql, false, 0) < 0)
            ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not adopt the database"));
}

}  // namespace

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

void adopt() {
    char *insert = psprintf("INSERT INTO pgqueue_internal.identity VALUES (" INT64_FORMAT ", %u, %d)", static_cast<int64>(GetSystemIdentifier()), MyDatabaseId, schema_version);
    const char *const statements[] = {
        "DELETE FROM pgqueue_internal.identity",
        insert,
        // A key that the dictionary does not know is an oid of the old cluster: here it may be somebody else's.
        "INSERT INTO pgqueue_internal.role (id, oid, name) SELECT DISTINCT s.role_id, NULL::pg_catalog.oid, 'role ' || s.role_id "
        "FROM pgqueue_internal.segment s WHERE NOT EXISTS (SELECT FROM pgqueue_internal.role r WHERE r.id = s.role_id)",
        "UPDATE pgqueue_internal.role r SET oid = (SELECT a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = r.name)",
        "UPDATE pgqueue_internal.namespace n SET owner = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = n.owner_name",
        "DELETE FROM pgqueue_internal.namespace_grant g WHERE g.role <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_authid a WHERE a.rolname = g.role_name)",
        "UPDATE pgqueue_internal.namespace_grant g SET role = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = g.role_name AND g.role <> 0",
        "UPDATE pgqueue_internal.namespace_grant g SET grantor = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = g.grantor_name",
        "UPDATE pgqueue_internal.ticker t SET role = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = t.role_name",
        "UPDATE pgqueue_internal.handler h SET role = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = h.role_name",
    };
    Oid caller;
    int sec;
    GetUserIdAndSecContext(&caller, &sec);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec | SECURITY_LOCAL_USERID_CHANGE);
    {
        pg::SpiSession spi;
        pg::ActiveSnapshot snapshot;
        run_all(statements);
    }
    SetUserIdAndSecContext(caller, sec);
}

}  // namespace pgqueue::store
