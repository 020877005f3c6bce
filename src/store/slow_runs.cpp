#include "store/slow_runs.hpp"

#include "store/queues.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

constexpr int command_characters = 1000;

constinit Statement add_statement{
    "INSERT INTO pgqueue_internal.slow_run (task_id, attempt, namespace_id, queue_id, role_id, type, command, "
    "started_at, "
    "run_us, cpu_us, wal_bytes, blocks_read) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO "
    "NOTHING",
    12,
    {INT8OID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID},
    nullptr};
// $1: how many are kept.
constinit Statement trim_statement{
    "DELETE FROM pgqueue_internal.slow_run s USING (SELECT r.ctid AS place, pg_catalog.row_number() OVER (PARTITION "
    "BY r.namespace_id ORDER BY r.run_us DESC) AS by_run, pg_catalog.row_number() OVER (PARTITION BY r.namespace_id "
    "ORDER BY r.cpu_us DESC NULLS LAST) AS by_cpu FROM "
    "pgqueue_internal.slow_run r) k WHERE s.ctid OPERATOR(pg_catalog.=) k.place AND k.by_run OPERATOR(pg_catalog.>) $1 "
    "AND k.by_cpu OPERATOR(pg_catalog.>) $1",
    1,
    {INT8OID},
    nullptr};
constinit Statement least_statement{
    "SELECT r.namespace_id, (pg_catalog.array_agg(r.run_us ORDER BY r.run_us DESC))[$1], "
    "(pg_catalog.array_agg(r.cpu_us ORDER BY r.cpu_us DESC NULLS LAST))[$1] FROM pgqueue_internal.slow_run r GROUP BY "
    "1",
    1,
    {INT4OID},
    nullptr};
constinit Statement forget_statement{
    "DELETE FROM pgqueue_internal.slow_run WHERE namespace_id OPERATOR(pg_catalog.=) $1 AND ($2 IS NULL OR queue_id "
    "OPERATOR(pg_catalog.=) $2) AND ($3 IS NULL OR type OPERATOR(pg_catalog.=) $3)",
    3,
    {INT4OID, INT4OID, TEXTOID},
    nullptr};

Datum text_of(const char *s, int most) {
    const int bytes = static_cast<int>(strlen(s));
    return PointerGetDatum(cstring_to_text_with_len(s, pg_mbcharcliplen(s, bytes, most)));
}

}  // namespace

bool add_slow_run(const TaskRow &row, const SlowRun &run) {
    // The end of a task waits for nobody who looks at statistics.
    if (!ConditionalLockRelationOid(internal_relation("slow_run"), RowExclusiveLock)) return false;
    enum { type = 5, command = 6, cpu_us = 9, wal_bytes, blocks_read, columns };
    const Datum values[columns] = {Int64GetDatum(row.ref.id),
                                   Int32GetDatum(row.attempt),
                                   Int32GetDatum(run.ns_id),
                                   Int32GetDatum(run.queue_id),
                                   Int32GetDatum(run.role_id),
                                   row.type != nullptr ? text_of(row.type, command_characters) : Datum(0),
                                   row.command != nullptr ? text_of(row.command, command_characters) : Datum(0),
                                   TimestampTzGetDatum(row.started_at),
                                   Int64GetDatum(run.run_us),
                                   Int64GetDatum(run.costs.cpu_us),
                                   Int64GetDatum(run.costs.wal_bytes),
                                   Int64GetDatum(run.costs.blocks_read)};
    char nulls[columns];
    memset(nulls, ' ', sizeof(nulls));
    if (row.type == nullptr) nulls[type] = 'n';
    if (row.command == nullptr) nulls[command] = 'n';
    if (!run.costs.known) nulls[cpu_us] = nulls[wal_bytes] = nulls[blocks_read] = 'n';
    return run_statement(&add_statement, values, nulls, nullptr, nullptr) > 0;
}

void trim_slow_runs() {
    Datum keep = Int64GetDatum(slow_runs_kept);
    (void)run_statement(&trim_statement, &keep);
}

void each_least_runs(void (*fn)(const LeastRuns &)) {
    Datum last = Int32GetDatum(slow_runs_kept);
    each_row(&least_statement, &last, [fn](const ResultRow &row) {
        bool null;
        auto number = [&](int column) {
            Datum d = row.get(column, &null);
            return null ? int64{0} : DatumGetInt64(d);
        };
        fn({DatumGetInt32(row.get(1, &null)), number(2), number(3)});
    });
}

void forget_slow_runs(int32 ns_id, int32 queue_id, const char *type) {
    Datum values[] = {Int32GetDatum(ns_id), Int32GetDatum(queue_id),
                      type != nullptr ? CStringGetTextDatum(type) : Datum(0)};
    const char nulls[] = {' ', queue_id == 0 ? 'n' : ' ', type == nullptr ? 'n' : ' '};
    (void)run_statement(&forget_statement, values, nulls, nullptr, nullptr);
}

}  // namespace pgqueue::store
