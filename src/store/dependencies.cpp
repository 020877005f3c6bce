#include "store/dependencies.hpp"

#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

#define PGQ_EQ " OPERATOR(pg_catalog.=) "
#define PGQ_GT " OPERATOR(pg_catalog.>) "
// In the text, so that the planner knows that the number is small.
#define PGQ_SOME "32"
static_assert(some_rows == 32);

Datum array_of(std::span<const int64> ids) {
    auto *items = static_cast<Datum *>(palloc_extended(sizeof(Datum) * (ids.size() + 1), MCXT_ALLOC_HUGE));
    for (std::size_t i = 0; i < ids.size(); i++) items[i] = Int64GetDatum(ids[i]);
    return PointerGetDatum(construct_array(items, static_cast<int>(ids.size()), INT8OID, 8, true, TYPALIGN_DOUBLE));
}

// Collects the first column of all rows.
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

// Each line of SQL is a line of C++. The first argument is the namespace.
// clang-format off
constinit Statement edges_add{
    "INSERT INTO pgqueue_internal.dependency (namespace_id, awaited, task_id) SELECT $1, a, t "
    "FROM pg_catalog.unnest($2) a, pg_catalog.unnest($3) t "
    "ON CONFLICT DO NOTHING",
    3, {INT4OID, INT8ARRAYOID, INT8ARRAYOID}, nullptr};
constinit Statement edge_remove{
    "DELETE FROM pgqueue_internal.dependency WHERE namespace_id" PGQ_EQ "$1 AND awaited" PGQ_EQ "$2 "
    "AND task_id" PGQ_EQ "$3", 3, {INT4OID, INT8OID, INT8OID}, nullptr};
constinit Statement edges_remove{
    "DELETE FROM pgqueue_internal.dependency WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_EQ "$2 "
    "AND awaited OPERATOR(pg_catalog.=) ANY (ARRAY("
    "SELECT d.awaited FROM pgqueue_internal.dependency d WHERE d.namespace_id" PGQ_EQ "$1 "
    "AND d.task_id" PGQ_EQ "$2 ORDER BY d.awaited LIMIT " PGQ_SOME ")) "
    "RETURNING awaited",
    2, {INT4OID, INT8OID}, nullptr};
constinit Statement dependents{
    "SELECT task_id FROM pgqueue_internal.dependency WHERE namespace_id" PGQ_EQ "$1 AND awaited" PGQ_EQ "$2 "
    "AND task_id" PGQ_GT "$3 ORDER BY task_id LIMIT " PGQ_SOME, 3, {INT4OID, INT8OID, INT8OID}, nullptr};
constinit Statement awaited{
    "SELECT awaited FROM pgqueue_internal.dependency WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_EQ "$2 "
    "AND awaited" PGQ_GT "$3 ORDER BY awaited LIMIT " PGQ_SOME, 3, {INT4OID, INT8OID, INT8OID}, nullptr};
constinit Statement awaited_all{
    "SELECT awaited FROM pgqueue_internal.dependency WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_EQ "$2 "
    "ORDER BY awaited", 2, {INT4OID, INT8OID}, nullptr};
constinit Statement edge_exists{
    "SELECT 1 FROM pgqueue_internal.dependency WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_EQ "$2 LIMIT 1",
    2, {INT4OID, INT8OID}, nullptr};
// Writes the row even if it exists. So a process that has judged the old version does not remove the new one.
constinit Statement members_add{
    "INSERT INTO pgqueue_internal.batch_member (namespace_id, task_id, batch_key) SELECT $1, t, $3 "
    "FROM pg_catalog.unnest($2) t "
    "ON CONFLICT (namespace_id, task_id) DO UPDATE SET batch_key = excluded.batch_key",
    3, {INT4OID, INT8ARRAYOID, TEXTOID}, nullptr};
constinit Statement member_remove{
    "DELETE FROM pgqueue_internal.batch_member WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_EQ "$2 "
    "RETURNING batch_key", 2, {INT4OID, INT8OID}, nullptr};
constinit Statement member_exists{
    "SELECT 1 FROM pgqueue_internal.batch_member WHERE namespace_id" PGQ_EQ "$1 AND batch_key" PGQ_EQ "$2 LIMIT 1",
    2, {INT4OID, TEXTOID}, nullptr};
constinit Statement waiters_add{
    "INSERT INTO pgqueue_internal.batch_waiter (namespace_id, task_id, batch_key) SELECT $1, t, $3 "
    "FROM pg_catalog.unnest($2) t", 3, {INT4OID, INT8ARRAYOID, TEXTOID}, nullptr};
constinit Statement waiter_batch{
    "SELECT batch_key FROM pgqueue_internal.batch_waiter WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_EQ "$2",
    2, {INT4OID, INT8OID}, nullptr};
constinit Statement waiter_remove{
    "DELETE FROM pgqueue_internal.batch_waiter WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_EQ "$2",
    2, {INT4OID, INT8OID}, nullptr};
constinit Statement waiters{
    "SELECT task_id FROM pgqueue_internal.batch_waiter WHERE namespace_id" PGQ_EQ "$1 AND batch_key" PGQ_EQ "$2 "
    "AND task_id" PGQ_GT "$3 ORDER BY namespace_id, batch_key, task_id LIMIT " PGQ_SOME,
    3, {INT4OID, TEXTOID, INT8OID}, nullptr};
// A part may end among rows with the same id. The next part begins with another id.
constinit Statement involved[involved_kinds] = {
    {"SELECT DISTINCT id FROM (SELECT awaited AS id FROM pgqueue_internal.dependency "
     "WHERE namespace_id" PGQ_EQ "$1 AND awaited" PGQ_GT "$2 ORDER BY awaited LIMIT " PGQ_SOME ") d ORDER BY id",
     2, {INT4OID, INT8OID}, nullptr},
    {"SELECT DISTINCT id FROM (SELECT task_id AS id FROM pgqueue_internal.dependency "
     "WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_GT "$2 ORDER BY task_id LIMIT " PGQ_SOME ") d ORDER BY id",
     2, {INT4OID, INT8OID}, nullptr},
    {"SELECT task_id FROM pgqueue_internal.batch_member WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_GT "$2 "
     "ORDER BY task_id LIMIT " PGQ_SOME, 2, {INT4OID, INT8OID}, nullptr},
    {"SELECT task_id FROM pgqueue_internal.batch_waiter WHERE namespace_id" PGQ_EQ "$1 AND task_id" PGQ_GT "$2 "
     "ORDER BY task_id LIMIT " PGQ_SOME, 2, {INT4OID, INT8OID}, nullptr},
};
// One read of an index for each namespace of a table.
#define PGQ_NAMESPACES(table)                                                                     \
    "WITH RECURSIVE n (id) AS (SELECT pg_catalog.min(namespace_id) FROM pgqueue_internal." table  \
    " UNION ALL SELECT (SELECT pg_catalog.min(t.namespace_id) FROM pgqueue_internal." table " t " \
    "WHERE t.namespace_id" PGQ_GT "n.id) FROM n WHERE n.id IS NOT NULL) "                         \
    "SELECT id::pg_catalog.int8 FROM n WHERE id IS NOT NULL"
constinit Statement namespaces{
    PGQ_NAMESPACES("dependency") " UNION ALL (" PGQ_NAMESPACES("batch_member") ") UNION ALL ("
    PGQ_NAMESPACES("batch_waiter") ")", 0, {}, nullptr};
#undef PGQ_NAMESPACES
constinit Statement awaited_counts{
    .sql = "SELECT awaited, namespace_id, pg_catalog.count(*) FROM pgqueue_internal.dependency "
           "GROUP BY awaited, namespace_id",
    .n_args = 0, .types = {}, .plan = nullptr, .as_of_active = true};
constinit Statement archived{
    "SELECT namespace_id, status FROM pgqueue_internal.archive "
    "WHERE id" PGQ_EQ "$1", 1, {INT8OID}, nullptr};
// clang-format on

#undef PGQ_EQ
#undef PGQ_GT
#undef PGQ_SOME

void run_for_batch(Statement *statement, std::span<const int64> tasks, const Batch &batch) {
    Datum values[] = {Int32GetDatum(batch.namespace_id), array_of(tasks), PointerGetDatum(batch.key)};
    run_statement(statement, values);
}

uint64 run_for_task(Statement *statement, int32 namespace_id, int64 task) {
    Datum values[] = {Int32GetDatum(namespace_id), Int64GetDatum(task)};
    return run_statement(statement, values);
}

Ids collect_after(Statement *statement, int32 namespace_id, int64 id, int64 after) {
    Datum values[] = {Int32GetDatum(namespace_id), Int64GetDatum(id), Int64GetDatum(after)};
    return collect(statement, values);
}

// Runs a statement that returns the key of a task's batch.
Batch batch_of(Statement *statement, int32 namespace_id, int64 task) {
    Datum values[] = {Int32GetDatum(namespace_id), Int64GetDatum(task)};
    Batch batch{namespace_id, nullptr};
    each_row(statement, values, [&batch](const ResultRow &row) {
        bool null;
        batch.key = DatumGetTextPCopy(row.get(1, &null));
    });
    return batch;
}

}  // namespace

int64 add_edges(std::span<const int64> tasks, std::span<const int64> to, int32 namespace_id) {
    Datum values[] = {Int32GetDatum(namespace_id), array_of(to), array_of(tasks)};
    return static_cast<int64>(run_statement(&edges_add, values));
}

bool remove_edge(int32 namespace_id, int64 from, int64 task) {
    Datum values[] = {Int32GetDatum(namespace_id), Int64GetDatum(from), Int64GetDatum(task)};
    return run_statement(&edge_remove, values) > 0;
}

int remove_edges(int32 namespace_id, int64 task, void (*fn)(int64 awaited)) {
    Datum values[] = {Int32GetDatum(namespace_id), Int64GetDatum(task)};
    return static_cast<int>(each_row(&edges_remove, values, [fn](const ResultRow &row) {
        bool null;
        fn(DatumGetInt64(row.get(1, &null)));
    }));
}

Ids dependents_of(int32 namespace_id, int64 id, int64 after) {
    return collect_after(&dependents, namespace_id, id, after);
}
Ids awaited_by(int32 namespace_id, int64 task, int64 after) {
    return collect_after(&awaited, namespace_id, task, after);
}

Ids all_awaited_by(int32 namespace_id, int64 task) {
    Datum values[] = {Int32GetDatum(namespace_id), Int64GetDatum(task)};
    return collect(&awaited_all, values);
}

bool has_edges(int32 namespace_id, int64 task) { return run_for_task(&edge_exists, namespace_id, task) > 0; }

void join_batch(std::span<const int64> tasks, const Batch &batch) { run_for_batch(&members_add, tasks, batch); }
Batch leave_batch(int32 namespace_id, int64 task) { return batch_of(&member_remove, namespace_id, task); }

bool batch_is_over(const Batch &batch) {
    Datum values[] = {Int32GetDatum(batch.namespace_id), PointerGetDatum(batch.key)};
    return run_statement(&member_exists, values) == 0;
}

void wait_for_batch(std::span<const int64> tasks, const Batch &batch) { run_for_batch(&waiters_add, tasks, batch); }
Batch awaited_batch(int32 namespace_id, int64 task) { return batch_of(&waiter_batch, namespace_id, task); }
void stop_waiting_for_batch(int32 namespace_id, int64 task) { run_for_task(&waiter_remove, namespace_id, task); }

Ids waiters_of(const Batch &batch, int64 after) {
    Datum values[] = {Int32GetDatum(batch.namespace_id), PointerGetDatum(batch.key), Int64GetDatum(after)};
    return collect(&waiters, values);
}

Ids involved_in(Involved kind, int32 namespace_id, int64 after) {
    Datum values[] = {Int32GetDatum(namespace_id), Int64GetDatum(after)};
    return collect(&involved[static_cast<int>(kind)], values);
}

Ids involved_namespaces() { return collect(&namespaces, nullptr); }

void each_awaited(void (*fn)(int64 awaited, int32 namespace_id, int32 count)) {
    each_row(&awaited_counts, nullptr, [fn](const ResultRow &row) {
        bool null;
        int64 id = DatumGetInt64(row.get(1, &null));
        fn(id, DatumGetInt32(row.get(2, &null)), static_cast<int32>(DatumGetInt64(row.get(3, &null))));
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
