#include "store/version.hpp"

#include "pg/guards.hpp"
#include "store/queues.hpp"

namespace pgqueue::store {

const char *installed_version() {
    pg::RelationRef rel(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("pgqueue"));
    SysScanDesc scan = systable_beginscan(rel, ExtensionNameIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    const char *version = nullptr;
    if (HeapTupleIsValid(tuple)) {
        bool isnull;
        Datum d =
            heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(static_cast<Relation>(rel)), &isnull);
        version = TextDatumGetCString(d);
    }
    systable_endscan(scan);
    return version;
}

void check_version() {
    if (creating_extension) return;
    const char *version = installed_version();
    if (version == nullptr || strcmp(version, PGQUEUE_VERSION) == 0) return;
    ereport(
        ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
        errmsg("the library of pgqueue has version %s, but extension pgqueue in this database has version %s",
               PGQUEUE_VERSION, version),
        errhint(
            "If the library is newer, run ALTER EXTENSION pgqueue UPDATE TO '%s'. If it is older, restart the server.",
            PGQUEUE_VERSION));
}

void version_changed() { CacheInvalidateRelcacheByRelid(internal_relation("namespace")); }

}  // namespace pgqueue::store
