#include "store/dependencies.hpp"

#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

#define PGQ_INT8_EQ " OPERATOR(pg_catalog.=) "

Datum array_of(std::span<const int64> ids) {
    auto *items = static_cast<Datum *>(palloc_extended(sizeof(Datum) * (ids.size() + 1), MCXT_ALLOC_HUGE));
    for (std::size_t i = 0; i < ids.size(); i++) items[i] = Int64GetDatum(ids[i]);
    return PointerGetDatum(construct_array(items, static_cast<int>(ids.size()), INT8OID, 8, true, TYPALIGN_DOUBLE));
}

// Collects the first column.
Ids collect(Statement *statement, const Datum *values) {
    struct {
        Ids ids;
        int room;
    } all{{nullptr, 0}, 0};
    each_row(statement, values, [&all](const ResultRow &row) {
        if (all.ids.count == all.room) {
            all.room = all.room == 0 ? 16 : all.room * 2;
            Size bytes = sizeof(int64) * static_cast<Size>(all.room);
            all.ids.items = static_cast<int64 *>(all.ids.items ? repalloc_huge(all.ids.items, bytes) : palloc(bytes));
        }
        bool null;
        all.ids.items[all.ids.count++] = DatumGetInt64(row.get(1, &null));
    });
    return all.ids;
}

Batch batch_of(Statement *statement, int64 task) {
    Datum values[] = {Int64GetDatum(task)};
    Batch batch{0, nullptr};
    each_row(statement, values, [&batch](const ResultRow &row) {
        bool null;
        batch.namespace_id = DatumGetInt32(row.get(1, &null));
        batch.key = DatumGetTextPCopy(row.get(2, &null));
    });
    return batch;
}

constinit Statement edges_add{
    "INSERT INTO pgqueue_internal.dependency (awaited, task_id) SELECT a, t FROM pg_catalog.unnest($1) a, pg_catalog.unnest($2) t ON CONFLICT DO NOTHING",
    2, {INT8ARRAYOID, INT8ARRAYOID}, nullptr};
constinit Statement edge_remove{
    "DELETE FROM pgqueue_internal.dependency WHERE awaited" PGQ_INT8_EQ "$1 AND task_id" PGQ_INT8_EQ "$2", 2, {INT8OID, INT8OID}, nullptr};
constinit Statement edges_remove{"DELETE FROM pgqueue_internal.dependency WHERE task_id" PGQ_INT8_EQ "$1 RETURNING awaited", 1, {INT8OID}, nullptr};
constinit Statement dependents{"SELECT task_id FROM pgqueue_internal.dependency WHERE awaited" PGQ_INT8_EQ "$1", 1, {INT8OID}, nullptr};
constinit Statement awaited{"SELECT awaited FROM pgqueue_internal.dependency WHERE task_id" PGQ_INT8_EQ "$1", 1, {INT8OID}, nullptr};
constinit Statement edge_exists{"SELECT 1 FROM pgqueue_internal.dependency WHERE task_id" PGQ_INT8_EQ "$1 LIMIT 1", 1, {INT8OID}, nullptr};
// Written also when it is there: who judges the old version does not remove the new one.
constinit Statement members_add{
    "INSERT INTO pgqueue_internal.batch_member (task_id, namespace_id, batch_key) SELECT t, $2, $3 FROM pg_catalog.unnest($1) t "
    "ON CONFLICT (task_id) DO UPDATE SET batch_key = excluded.batch_key",
    3, {INT8ARRAYOID, INT4OID, TEXTOID}, nullptr};
constinit Statement member_remove{
    "DELETE FROM pgqueue_internal.batch_member WHERE task_id" PGQ_INT8_EQ "$1 RETURNING namespace_id, batch_key", 1, {INT8OID}, nullptr};
constinit Statement member_exists{
    "SELECT 1 FROM pgqueue_internal.batch_member WHERE namespace_id" PGQ_INT8_EQ "$1 AND batch_key" PGQ_INT8_EQ "$2 LIMIT 1", 2, {INT4OID, TEXTOID}, nullptr};
constinit Statement waiters_add{
    "INSERT INTO pgqueue_internal.batch_waiter (task_id, namespace_id, batch_key) SELECT t, $2, $3 FROM pg_catalog.unnest($1) t", 3,
    {INT8ARRAYOID, INT4OID, TEXTOID}, nullptr};
constinit Statement waiter_batch{"SELECT namespace_id, batch_key FROM pgqueue_internal.batch_waiter WHERE task_id" PGQ_INT8_EQ "$1", 1, {INT8OID}, nullptr};
constinit Statement waiter_remove{"DELETE FROM pgqueue_internal.batch_waiter WHERE task_id" PGQ_INT8_EQ "$1", 1, {INT8OID}, nullptr};
constinit Statement waiters{
    "SELECT task_id FROM pgqueue_internal.batch_waiter WHERE namespace_id" PGQ_INT8_EQ "$1 AND batch_key" PGQ_INT8_EQ "$2", 2, {INT4OID, TEXTOID}, nullptr};
constinit Statement everybody{
    "SELECT awaited FROM pgqueue_internal.dependency UNION SELECT task_id FROM pgqueue_internal.dependency "
    "UNION SELECT task_id FROM pgqueue_internal.batch_member UNION SELECT task_id FROM pgqueue_internal.batch_waiter",
    0, {}, nullptr};
constinit Statement awaited_counts{"SELECT awaited, pg_catalog.count(*) FROM pgqueue_internal.dependency GROUP BY awaited", 0, {}, nullptr};
constinit Statement archived{"SELECT namespace_id, status FROM pgqueue_internal.archive WHERE id" PGQ_INT8_EQ "$1", 1, {INT8OID}, nullptr};

#undef PGQ_INT8_EQ

void run_for_batch(Statement *statement, std::span<const int64> tasks, const Batch &batch) {
    Datum values[] = {array_of(tasks), Int32GetDatum(batch.namespace_id), PointerGetDatum(batch.key)};
    run_statement(statement, values);
}

}  // namespace

void add_edges(std::span<const int64> tasks, std::span<const int64> to) {
    Datum values[] = {array_of(to), array_of(tasks)};
    run_statement(&edges_add, values);
}

bool remove_edge(int64 from, int64 task) {
    Datum values[] = {Int64GetDatum(from), Int64GetDatum(task)};
    return run_statement(&edge_remove, values) > 0;
}

Ids remove_edges(int64 task) {
    Datum values[] = {Int64GetDatum(task)};
    return collect(&edges_remove, values);
}

Ids dependents_of(int64 id) {
    Datum values[] = {Int64GetDatum(id)};
    return collect(&dependents, values);
}

Ids awaited_by(int64 task) {
    Datum values[] = {Int64GetDatum(task)};
    return collect(&awaited, values);
}

bool has_edges(int64 task) {
    Datum values[] = {Int64GetDatum(task)};
    return run_statement(&edge_exists, values) > 0;
}

void join_batch(std::span<const int64> tasks, const Batch &batch) { run_for_batch(&members_add, tasks, batch); }
Batch leave_batch(int64 task) { return batch_of(&member_remove, task); }

bool batch_is_over(const Batch &batch) {
    Datum values[] = {Int32GetDatum(batch.namespace_id), PointerGetDatum(batch.key)};
    return run_statement(&member_exists, values) == 0;
}

void wait_for_batch(std::span<const int64> tasks, const Batch &batch) { run_for_batch(&waiters_add, tasks, batch); }
Batch awaited_batch(int64 task) { return batch_of(&waiter_batch, task); }

void stop_waiting_for_batch(int64 task) {
    Datum values[] = {Int64GetDatum(task)};
    run_statement(&waiter_remove, values);
}

Ids waiters_of(const Batch &batch) {
    Datum values[] = {Int32GetDatum(batch.namespace_id), PointerGetDatum(batch.key)};
    return collect(&waiters, values);
}

Ids everybody_involved() { return collect(&everybody, nullptr); }

void each_awaited(void (*fn)(int64 id, int32 count)) {
    each_row(&awaited_counts, nullptr, [fn](const ResultRow &row) {
        bool null;
        int64 id = DatumGetInt64(row.get(1, &null));
        fn(id, static_cast<int32>(DatumGetInt64(row.get(2, &null))));
    });
}

int32 archived_in(int64 id, bool *released) {
    Datum values[] = {Int64GetDatum(id)};
    int32 ns = 0;
    *released = false;
    each_row(&archived, values, [&ns, released](const ResultRow &row) {
        bool null;
        ns = DatumGetInt32(row.get(1, &null));
        *released = strcmp(TextDatumGetCString(row.get(2, &null)), "released") == 0;
    });
    return ns;
}

}  // namespace pgqueue::store
