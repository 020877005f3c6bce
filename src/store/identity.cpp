#include "store/identity.hpp"

#include "pg/guards.hpp"

namespace pgqueue::store {
namespace {

Datum one_value(const char *sql, bool *isnull) {
    if (SPI_execute(sql, true, 1) != SPI_OK_SELECT || SPI_processed == 0) {
        *isnull = true;
        return Datum(0);
    }
    return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
}

// Runs statements as the extension's owner would: the caller's rights do not matter here.
void run_all(std::span<const char *const> statements) {
    for (const char *sql : statements)
        if (SPI_execute(sql, false, 0) < 0)
            ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not adopt the database"));
}

}  // namespace

Identity read_identity() {
    pg::SpiSession spi;
    pg::ActiveSnapshot snapshot;
    bool null1, null2;
    char *sql = psprintf("SELECT bool_and(system_identifier = " INT64_FORMAT " AND database = %u) FROM pgqueue_internal.identity",
                         static_cast<int64>(GetSystemIdentifier()), MyDatabaseId);
    bool ours = DatumGetBool(one_value(sql, &null1)) && !null1;
    int version = DatumGetInt32(one_value("SELECT max(schema_version) FROM pgqueue_internal.identity", &null2));
    return {ours, null2 ? 0 : version};
}

void adopt() {
    char *insert = psprintf("INSERT INTO pgqueue_internal.identity VALUES (" INT64_FORMAT ", %u, %d)", static_cast<int64>(GetSystemIdentifier()), MyDatabaseId, schema_version);
    const char *const statements[] = {
        "DELETE FROM pgqueue_internal.identity",
        insert,
        "UPDATE pgqueue_internal.role r SET oid = (SELECT a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = r.name)",
        "UPDATE pgqueue_internal.namespace n SET owner = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = n.owner_name",
        "DELETE FROM pgqueue_internal.namespace_grant g WHERE g.role <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_authid a WHERE a.rolname = g.role_name)",
        "UPDATE pgqueue_internal.namespace_grant g SET role = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = g.role_name AND g.role <> 0",
        "UPDATE pgqueue_internal.namespace_grant g SET grantor = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = g.grantor_name",
        "UPDATE pgqueue_internal.handler h SET role = a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = h.role_name",
    };
    pg::SpiSession spi;
    pg::ActiveSnapshot snapshot;
    run_all(statements);
}

}  // namespace pgqueue::store
