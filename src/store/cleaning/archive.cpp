// Moves finished tasks of queues with on_finish archive into the archive, with names of queues instead of keys.
#include "pg/guards.hpp"
#include "store/cleaning/steps.hpp"
#include "store/relations.hpp"
#include "store/rows_find.hpp"
#include "store/rows_write.hpp"
#include "store/segments.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

constexpr int64 archives_per_transaction = 500;

constexpr const char *tables_read[] = {"queue", "namespace"};

// Locks the tables that the statement reads and writes, without waiting.
bool lock_tables(int slot) {
    Oid schema = get_namespace_oid("pgqueue_internal", false);
    for (const char *name : tables_read)
        if (!try_lock(get_relname_relid(name, schema), AccessShareLock)) return false;
    return try_lock(get_relname_relid("archive", schema), RowExclusiveLock) &&
           try_lock(segment_oid(slot), RowExclusiveLock) && try_lock(outcome_oid(slot), AccessShareLock);
}

// Builds the statement for a segment: the result of the last attempt, and the error of the last failed one.
char *archive_statement(int slot) {
    StringInfoData s;
    initStringInfo(&s);
    appendStringInfoString(&s,
                           "INSERT INTO pgqueue_internal.archive (id, namespace_id, namespace, queue, status, type, "
                           "command, payload, headers,"
                           " priority, role_id, attempt, retries, group_key, dedup_key, batch_key, depends_on, "
                           "created_at, delayed_at, dies_at,"
                           " started_at, finished_at, worker, result, error, error_code, error_info, transactional, "
                           "ticker, origin_queue, uncounted)"
                           " SELECT t.id, q.namespace_id, n.name, q.name, CASE t.status");
    for (int i = 0; i < status_count; i++)
        appendStringInfo(&s, " WHEN %d THEN '%.*s'", i,
                         static_cast<int>(status_words[static_cast<std::size_t>(i)].size()),
                         status_words[static_cast<std::size_t>(i)].data());
    appendStringInfo(
        &s,
        " END, t.type, t.command, t.payload, t.headers, t.priority,"
        " t.role_id, t.attempt, t.retries, t.group_key, t.dedup_key, t.batch_key, t.depends_on,"
        " t.created_at, t.delayed_at, t.dies_at, t.started_at, t.finished_at, t.worker,"
        " COALESCE(t.result, a.result), e.error, "
        "e.error_code, e.error_info,"
        " (t.flags::pg_catalog.int4 OPERATOR(pg_catalog.&) %d) OPERATOR(pg_catalog.=) 0, t.ticker, o.name, t.uncounted"
        " FROM pgqueue_internal.segment_%d t"
        " JOIN pgqueue_internal.queue q ON q.id = t.queue_id"
        " JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id"
        " LEFT JOIN pgqueue_internal.queue o ON o.id = t.origin_queue_id"
        " LEFT JOIN LATERAL (SELECT x.result FROM pgqueue_internal.outcome_%d x WHERE x.id = t.id ORDER BY x.attempt "
        "DESC LIMIT 1) a ON true"
        " LEFT JOIN LATERAL (SELECT x.error, x.error_code, x.error_info FROM pgqueue_internal.outcome_%d x"
        " WHERE x.id = t.id AND (x.error IS NOT NULL OR x.error_code IS NOT NULL) ORDER BY x.attempt DESC LIMIT 1) e "
        "ON true"
        " WHERE t.id = ANY ($1)",
        flag_top_level, slot, slot, slot);
    return s.data;
}

// Copies the rows into the archive. Raises if one is missing.
void copy_to_archive(int slot, Datum *ids, int count) {
    static constinit Statement statements[segment_count] = {};
    Statement &statement = statements[slot];
    if (statement.sql == nullptr) {
        pg::MemoryScope scope(TopMemoryContext);
        statement = {
            .sql = archive_statement(slot), .n_args = 1, .types = {INT8ARRAYOID}, .plan = nullptr, .replan = true};
    }
    pg::ActiveSnapshot snapshot;
    Datum values[] = {
        PointerGetDatum(construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE))};
    uint64 copied = run_as_self(&statement, values, nullptr, nullptr, nullptr);
    if (copied != static_cast<uint64>(count))
        ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
                errmsg("of %d finished tasks " UINT64_FORMAT " could be archived", count, copied));
}

// Archives a part of the list in the open transaction. Returns how many.
int archive_part(Pass *pass, int slot, std::span<const TaskRef> refs) {
    if (!lock_tables(slot)) return 0;
    auto *rows = static_cast<TaskRow *>(palloc(sizeof(TaskRow) * refs.size()));
    auto *ids = static_cast<Datum *>(palloc(sizeof(Datum) * refs.size()));
    int count = 0;
    for (const TaskRef &ref : refs) {
        CHECK_FOR_INTERRUPTS();
        TaskRow *row = &rows[count];
        if (lock(ref, Wait::Skip, false, row) != Locked::Yes || row->ref.segment != slot ||
            fate_of(*pass, *row) != Fate::Archive)
            continue;
        ids[count++] = Int64GetDatum(row->ref.id);
    }
    if (count == 0) return 0;
    copy_to_archive(slot, ids, count);
    for (int i = 0; i < count; i++) {
        remove(&rows[i]);
        if (pass->sink->removed != nullptr) pass->sink->removed(pass->sink->arg, rows[i]);
    }
    return count;
}

}  // namespace

void archive_rows(Pass *pass, int slot, const RefList &list) {
    for (int64 at = 0; at < list.count; at += archives_per_transaction) {
        int64 size = Min(list.count - at, archives_per_transaction);
        int archived = 0;
        bool ok = step(pass, "archiving finished tasks", [&] {
            archived = archive_part(pass, slot, {list.refs + at, static_cast<std::size_t>(size)});
            return archived > 0;
        });
        if (!ok) continue;
        pass->report.archived += archived;
        pass->report.removed += archived;
    }
}

}  // namespace pgqueue::store
