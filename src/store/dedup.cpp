#include "store/dedup.hpp"

#include "pg/guards.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"
#include "store/rows_find.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

constexpr BlockNumber blocks_looked_at = 1000;

constinit Statement insert_statement{
    "INSERT INTO pgqueue_internal.dedup (queue_id, key, task_id, until) VALUES ($1, $2, $3, $4) ON CONFLICT (queue_id, "
    "key) DO NOTHING",
    4,
    {INT4OID, TEXTOID, INT8OID, TIMESTAMPTZOID},
    nullptr};
constinit Statement read_statement{
    "SELECT task_id, until FROM pgqueue_internal.dedup WHERE queue_id OPERATOR(pg_catalog.=) $1 AND key "
    "OPERATOR(pg_catalog.=) $2",
    2,
    {INT4OID, TEXTOID},
    nullptr};
constinit Statement lock_statement{
    "SELECT task_id, until FROM pgqueue_internal.dedup WHERE queue_id OPERATOR(pg_catalog.=) $1 AND key "
    "OPERATOR(pg_catalog.=) $2 FOR UPDATE",
    2,
    {INT4OID, TEXTOID},
    nullptr};
constinit Statement write_statement{
    "UPDATE pgqueue_internal.dedup SET task_id = $3, until = $4 WHERE queue_id OPERATOR(pg_catalog.=) $1 AND key "
    "OPERATOR(pg_catalog.=) $2",
    4,
    {INT4OID, TEXTOID, INT8OID, TIMESTAMPTZOID},
    nullptr};

uint64 run_with_holder(Statement *statement, const Key &key, const KeyHolder &holder) {
    Datum values[] = {Int32GetDatum(key.queue_id), PointerGetDatum(key.key), Int64GetDatum(holder.task_id),
                      TimestampTzGetDatum(holder.until)};
    return run_statement(statement, values, holder.until == 0 ? "   n" : nullptr, nullptr, nullptr);
}

// Returns whether a row of the table has no meaning any more.
bool is_over(const ResultRow &row, TimestampTz now) {
    bool null;
    int32 queue_id = DatumGetInt32(row.get(1, &null));
    if (queue_by_id(queue_id) == nullptr) return true;
    Datum until = row.get(4, &null);
    if (!null && DatumGetTimestampTz(until) > now) return false;
    return !is_unfinished_task(DatumGetInt64(row.get(3, &null)));
}

}  // namespace

bool insert_key(const Key &key, const KeyHolder &holder) {
    return run_with_holder(&insert_statement, key, holder) == 1;
}

bool read_key(const Key &key, bool lock, KeyHolder *holder) {
    Datum values[] = {Int32GetDatum(key.queue_id), PointerGetDatum(key.key)};
    return each_row(lock ? &lock_statement : &read_statement, values, [holder](const ResultRow &row) {
               bool null;
               holder->task_id = DatumGetInt64(row.get(1, &null));
               Datum until = row.get(2, &null);
               holder->until = null ? 0 : DatumGetTimestampTz(until);
           }) > 0;
}

void write_key(const Key &key, const KeyHolder &holder) { run_with_holder(&write_statement, key, holder); }

bool is_unfinished_task(int64 id) {
    TaskRow row;
    return find(id, false, &row) && is_unfinished(row.status) && queue_by_id(row.queue_id) != nullptr;
}

int64 clean_keys(TimestampTz now) {
    Oid table = get_relname_relid("dedup", get_namespace_oid("pgqueue_internal", false));
    if (!ConditionalLockRelationOid(table, RowExclusiveLock)) return 0;
    pg::RelationRef opened(table, NoLock);
    Relation rel = opened;
    BlockNumber blocks = RelationGetNumberOfBlocks(rel);
    if (blocks == 0) return 0;
    int64 removed = 0;
    pg::ActiveSnapshot snapshot;
    TableScanDesc scan = heap_beginscan(rel, GetActiveSnapshot(), 0, nullptr, nullptr,
                                        SO_TYPE_SEQSCAN | SO_ALLOW_STRAT | SO_ALLOW_PAGEMODE);
    if (blocks > blocks_looked_at)
        heap_setscanlimits(
            scan, static_cast<BlockNumber>(pg_prng_uint64_range(&pg_global_prng_state, 0, blocks - blocks_looked_at)),
            blocks_looked_at);
    for (HeapTuple t; (t = heap_getnext(scan, ForwardScanDirection)) != nullptr;) {
        CHECK_FOR_INTERRUPTS();
        if (!is_over({t, RelationGetDescr(rel)}, now)) continue;
        // Deletes this very version or none: a task that takes the key over writes another version.
        TM_FailureData failure;
        if (heap_delete(rel, &t->t_self, GetCurrentCommandId(true), InvalidSnapshot, false, &failure, false) == TM_Ok)
            removed++;
    }
    heap_endscan(scan);
    return removed;
}

}  // namespace pgqueue::store
