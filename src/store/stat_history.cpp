#include "store/stat_history.hpp"

#include "pg/guards.hpp"
#include "store/queues.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

constexpr int history_tables = 8;

// A minute comes again when the clock is set back. Then its rows are added up.
// clang-format off
#define PGQ_SUM(column) column " = s." column " OPERATOR(pg_catalog.+) excluded." column ", "
#define PGQ_ADD(n)                                                                                                    \
    {"INSERT INTO pgqueue_internal.stat_minute_" #n " AS s VALUES ($1, $2, $3[1], $3[2], $3[3], $3[4], $3[5], "       \
     "$3[6], $3[7], $3[8], $3[9], $4, $5, $6, $7) ON CONFLICT (minute, queue_id) DO UPDATE SET " PGQ_SUM("created")   \
     PGQ_SUM("retained") PGQ_SUM("released") PGQ_SUM("failed") PGQ_SUM("retried") PGQ_SUM("expired")                  \
     PGQ_SUM("cancelled") "depth = excluded.depth, running = excluded.running, wait_p50 = excluded.wait_p50, "        \
     "wait_p99 = excluded.wait_p99, run_p50 = excluded.run_p50, run_p99 = excluded.run_p99",                          \
     7, {INT4OID, TIMESTAMPTZOID, INT8ARRAYOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID}, nullptr}
constinit Statement add_row[history_tables] = {PGQ_ADD(0), PGQ_ADD(1), PGQ_ADD(2), PGQ_ADD(3),
                                               PGQ_ADD(4), PGQ_ADD(5), PGQ_ADD(6), PGQ_ADD(7)};
#define PGQ_OLD(n)                                                                                                    \
    {"SELECT 1 FROM pgqueue_internal.stat_minute_" #n " WHERE minute OPERATOR(pg_catalog.<) $1 LIMIT 1", 1,           \
     {TIMESTAMPTZOID}, nullptr}
constinit Statement find_older[history_tables] = {PGQ_OLD(0), PGQ_OLD(1), PGQ_OLD(2), PGQ_OLD(3),
                                                  PGQ_OLD(4), PGQ_OLD(5), PGQ_OLD(6), PGQ_OLD(7)};
// clang-format on

// Truncates a table of the ring. Returns false if another transaction uses it.
bool truncate(int table) {
    const Oid oid = internal_relation(psprintf("stat_minute_%d", table));
    if (!ConditionalLockRelationOid(oid, AccessExclusiveLock)) return false;
    pg::RelationRef rel(oid, NoLock);
    pg::ActiveSnapshot snapshot;
    pg::truncate_relations(list_make1(static_cast<Relation>(rel)), list_make1_oid(oid));
    return true;
}

// Returns the table for a minute.
int table_for(TimestampTz minute, int64 retention) {
    const int64 span = Max(retention / (history_tables - 1), int64{1}) * USECS_PER_MINUTE;
    const int64 turn = minute / span;
    const int table = static_cast<int>((turn % history_tables + history_tables) % history_tables);
    const Datum begin = TimestampTzGetDatum(turn * span);
    if (run_statement(&find_older[table], &begin) == 0 || truncate(table)) return table;
    return (table + history_tables - 1) % history_tables;
}

}  // namespace

void add_to_history(int32 queue_id, const StatMinute &m, int64 retention) {
    constexpr int counts = StatMinute::count_kinds + 2;
    Datum numbers[counts];
    for (int i = 0; i < StatMinute::count_kinds; i++) numbers[i] = Int64GetDatum(m.counts[i]);
    numbers[counts - 2] = Int64GetDatum(m.depth);
    numbers[counts - 1] = Int64GetDatum(m.running);
    const Datum values[] = {
        Int32GetDatum(queue_id),
        TimestampTzGetDatum(m.minute),
        PointerGetDatum(construct_array(numbers, counts, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
        Float8GetDatum(m.wait_p50),
        Float8GetDatum(m.wait_p99),
        Float8GetDatum(m.run_p50),
        Float8GetDatum(m.run_p99)};
    // No times: NULL.
    const char nulls[] = {' ',
                          ' ',
                          ' ',
                          m.wait_p50 < 0 ? 'n' : ' ',
                          m.wait_p99 < 0 ? 'n' : ' ',
                          m.run_p50 < 0 ? 'n' : ' ',
                          m.run_p99 < 0 ? 'n' : ' '};
    (void)run_statement(&add_row[table_for(m.minute, retention)], values, nulls, nullptr, nullptr);
}

}  // namespace pgqueue::store
