#include "store/lock_holders.hpp"

#include "pg/guards.hpp"
#include "store/find.hpp"

namespace pgqueue::store {

pid_t holder_of_task(int64 id) {
    Found found;
    if (!locate({id, InvalidBlockNumber, InvalidOffsetNumber, 0}, AccessShareLock, &found)) return 0;
    pid_t pid = pg::holder_of_version(found.tuple.t_data);
    let_go(&found, AccessShareLock);
    return pid;
}

pid_t holder_of_queue(int32 id) {
    pg::RelationRef rel(get_relname_relid("queue", get_namespace_oid("pgqueue_internal", false)), AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
    SysScanDesc scan = systable_beginscan(rel, pg::primary_key_index(rel), true, SnapshotSelf, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    pid_t pid = HeapTupleIsValid(tuple) ? pg::holder_of_version(tuple->t_data) : 0;
    systable_endscan(scan);
    return pid;
}

pg::LockHolder holder_of_tables(LOCKMASK modes, std::span<const pid_t> except) {
    return pg::holder_of_lock(get_namespace_oid("pgqueue_internal", false), modes, except);
}

}  // namespace pgqueue::store
