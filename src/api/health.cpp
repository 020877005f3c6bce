// View health: what is wrong in this database, and what to do. There is one small function for each kind of problem.
#include "api/health.hpp"

#include "api/call.hpp"
#include "api/hint_texts.hpp"
#include "config/server_settings.hpp"
#include "dispatch/ended_leases.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/look.hpp"
#include "dispatch/usage.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "pg/clock.hpp"
#include "pg/guards.hpp"
#include "pg/snapshots.hpp"
#include "signal/crash_loop.hpp"
#include "signal/incidents.hpp"
#include "store/identity.hpp"
#include "store/lock_holders.hpp"
#include "store/rows.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace pgqueue::api {

namespace {

// A comparison of the caller may come before a condition of the view, so rows that the caller may not see are not made.
bool may_see(const Problem &p) {
    int32 ns_id = p.ns_id;
    if (p.queue_id != 0) {
        const store::QueueInfo *queue = store::queue_by_id(p.queue_id);
        ns_id = queue != nullptr ? queue->ns_id : 0;
        if (ns_id == 0) return false;
    }
    if (ns_id != 0) return may(ns_id, store::priv_look);
    for (const store::NamespaceInfo &n : store::all_namespaces())
        if (may(n.id, store::priv_look)) return true;
    return false;
}

}  // namespace

void put(ReturnSetInfo *info, const Problem &p) {
    if (!may_see(p)) return;
    Datum values[9] = {CStringGetTextDatum(p.severity),
                       CStringGetTextDatum(p.word),
                       Int32GetDatum(p.ns_id),
                       Int32GetDatum(p.queue_id),
                       CStringGetTextDatum(p.message),
                       CStringGetTextDatum(p.hint),
                       Int32GetDatum(p.pid),
                       TimestampTzGetDatum(p.since),
                       Int64GetDatum(p.problems)};
    bool nulls[9] = {false, false, p.ns_id == 0, p.queue_id == 0, false, false, p.pid == 0, p.since == 0, false};
    tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

const char *waiting(int64 ready) { return psprintf("%s %s", tasks_of(ready, "ready"), ready == 1 ? "waits" : "wait"); }

const char *are(int64 n) { return n == 1 ? "is" : "are"; }

TimestampTz shown(const pg::Atomic<int64> *monotonic, const pg::Moment &now) {
    auto at = monotonic->load();
    return at != 0 ? now.to_wall(at) : 0;
}

const char *end_session(pid_t pid) { return psprintf("End it: SELECT pg_terminate_backend(%d);", pid); }

}  // namespace pgqueue::api

namespace {

// Reports reasons why nothing starts at all.
void put_server(ReturnSetInfo *info) {
    if (!config::enabled)
        put(info, {.severity = "critical",
                   .word = "disabled",
                   .message = "pgqueue.enabled is off, no task starts",
                   .hint = "ALTER SYSTEM SET pgqueue.enabled = on; SELECT pg_reload_conf();",
                   .since = PgReloadTime});
    if (!config::serves_database(get_database_name(MyDatabaseId)))
        put(info, {.severity = "critical",
                   .word = "disabled",
                   .message = "pgqueue.databases leaves this database out, no task starts",
                   .hint = serve_this_database(),
                   .since = PgReloadTime});
    if (memory::launcher_missing(5 * int64(USECS_PER_SEC)))
        put(info, {.severity = "critical",
                   .word = "disabled",
                   .message = "the launcher has ended and the server does not bring it back, no process starts",
                   .hint = "SELECT pgqueue.ensure_workers();",
                   .since = shown(&memory::map.shared->launcher_ended, pg::this_moment())});
    if (!store::is_ours())
        put(info, {.severity = "critical",
                   .word = "not_adopted",
                   .message = "this database was restored, copied or cloned, its tasks are held",
                   .hint = "SELECT pgqueue.adopt();"});
}

// Returns how many tasks wait for workers of the server.
int64 ready_in_server(const memory::Database &d) {
    int64 ready = 0;
    for (memory::SlotNo r = 0; r < memory::map.shared->used_roles; r++)
        if (const memory::Role &role = memory::map.roles[r]; role.used && &memory::database(role.db) == &d)
            ready += dispatch::look_at_role(r).ready;
    return ready;
}

void put_starts(ReturnSetInfo *info, memory::Database &d, const pg::Moment &now) {
    if (d.service.no_slot_since.load() != 0)
        put(info, {.severity = lacks_scheduler(d) ? "critical" : "warning",
                   .word = "no_worker_slot",
                   .message = lacks_scheduler(d)
                                  ? "the scheduler cannot be started, other processes have all of max_worker_processes"
                                  : "tasks wait because no further worker can be started",
                   .hint = lacks_scheduler(d) ? who_has_slots() : more_workers(),
                   .since = now.to_wall(d.service.no_slot_since.load())});
    if (const int64 since = d.service.stopped_since.load(); since != 0)
        put(info, {.severity = "warning",
                   .word = "disabled",
                   .message = "workers were stopped by stop_workers()",
                   .hint = "SELECT pgqueue.ensure_workers();",
                   .since = now.to_wall(since)});
    if (const int64 ready = config::max_workers() == 0 ? ready_in_server(d) : 0; ready > 0)
        put(info, {.severity = "critical",
                   .word = "disabled",
                   .message = psprintf("%s, but pgqueue.max_workers is 0", waiting(ready)),
                   .hint = "ALTER SYSTEM RESET pgqueue.max_workers; SELECT pg_reload_conf();",
                   .since = PgReloadTime});
    if (uint32 n = signal::in_loop(d.scheduler.deaths, now))
        put(info, {.severity = "critical",
                   .word = "crash_loop",
                   .message = psprintf("the scheduler of this database ended %u times", n),
                   .hint = "See the log of the server for the reason.",
                   .since = shown(&d.scheduler.deaths.first, now)});
    if (d.reading.lost.load() == memory::Lost::Full)
        put(info, {.severity = "warning",
                   .word = "memory_full",
                   .message = "the dispatcher's shared memory was full, tasks are read again from the rows",
                   .hint = more_dispatch_memory()});
}

// Reports a session whose lock on one of our tables blocks us. Ignores our own processes.
pg::LockHolder table_holder(memory::Database &d) {
    constexpr LOCKMASK strong = LOCKBIT_ON(ShareLock) | LOCKBIT_ON(ShareRowExclusiveLock) | LOCKBIT_ON(ExclusiveLock) |
                                LOCKBIT_ON(AccessExclusiveLock);
    const pid_t ours[] = {d.scheduler.pid.load(), d.housekeeper.pid.load(), d.notifier.load()};
    return store::holder_of_tables(strong, ours);
}

// Reports the step that the scheduler repeats, and the session that blocks it.
void put_failing_step(ReturnSetInfo *info, memory::Database &d, const pg::Moment &now) {
    auto since = d.scheduler.failing.since.load();
    if (since == 0 || now.monotonic - since <= owed_patience) return;
    pg::LockHolder holder = d.scheduler.failing.lock ? table_holder(d) : pg::LockHolder{};
    const char *why = "";
    if (holder.pid != 0)
        why = psprintf(": a session has %s on table pgqueue_internal.%s",
                       GetLockmodeName(DEFAULT_LOCKMETHOD, holder.mode), get_rel_name(holder.relation));
    put(info, {.severity = "warning",
               .word = "owed",
               .message = psprintf("the scheduler could not %s, and tries again%s", d.scheduler.failing.what, why),
               .hint = holder.pid != 0 ? end_session(holder.pid) : "See the log of the server for the reason.",
               .pid = holder.pid,
               .since = now.to_wall(since)});
}

// Reports rows that the scheduler has not been able to write for a while.
void put_owed(ReturnSetInfo *info, memory::SlotNo db) {
    pg::Moment now = pg::this_moment();
    put_failing_step(info, memory::database(db), now);
    dispatch::OwedLook look = dispatch::look_at_owed(db, now, owed_patience);
    if (look.count == 0) return;
    pid_t pid = store::holder_of_task(look.first_id);
    put(info, {.severity = "warning",
               .word = "owed",
               .message = psprintf("%s whose holder is gone %s not given back yet, the first is task " INT64_FORMAT
                                   ": a session has locked its row, or its change cannot be written",
                                   tasks_of(look.count), are(look.count), look.first_id),
               .hint = pid != 0 ? end_session(pid)
                                : "SELECT pid, xact_start, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL "
                                  "ORDER BY xact_start; "
                                  "the server's log has the changes that fail.",
               .pid = pid,
               .since = now.wall - look.waited});
}

void put_memory(ReturnSetInfo *info) {
    for (int kind = 0; kind < dispatch::table_kinds; kind++) {
        auto table = static_cast<dispatch::Table>(kind);
        if (table == dispatch::Table::Pages) continue;  // tasks that find no page go to the spill file
        dispatch::Usage u = dispatch::usage_of(table);
        if (u.used * 10 < u.capacity * 9) continue;
        put(info, {.severity = "warning",
                   .word = "memory_low",
                   .message = psprintf(INT64_FORMAT " of " INT64_FORMAT " places for %s are taken", u.used, u.capacity,
                                       u.kind),
                   .hint = psprintf("SELECT * FROM pgqueue.memory ORDER BY used DESC; %s", more_dispatch_memory())});
    }
}

// Looks up now which session blocks cleaning. If the former one has ended, the next pass of the housekeeper cleans.
void put_cleaning(ReturnSetInfo *info, memory::Database &d) {
    if (d.housekeeper.held_back.load() == 0) return;
    TransactionId xmin = d.housekeeper.holder_xmin.load();
    pid_t pid = TransactionIdIsNormal(xmin) ? pg::holder_of(xmin) : 0;
    if (pid == 0 && d.housekeeper.holder_pid.load() != 0) return;
    const char *hint = pid != 0 ? end_session(pid)
                       : TransactionIdIsNormal(xmin)
                           ? "Look for a replication slot or a prepared transaction: SELECT slot_name FROM "
                             "pg_replication_slots WHERE xmin IS NOT NULL; SELECT gid FROM pg_prepared_xacts;"
                           : "A session has a lock on a segment table: SELECT pid, query FROM pg_stat_activity WHERE "
                             "pid IN (SELECT pid FROM pg_locks WHERE relation IN (SELECT oid FROM "
                             "pg_class WHERE relnamespace = 'pgqueue_internal'::regnamespace));";
    put(info, {.severity = "warning",
               .word = "cleaning_held_back",
               .message = TransactionIdIsNormal(xmin) ? "an old snapshot keeps finished segments from being truncated"
                                                      : "a lock keeps finished segments from being truncated",
               .hint = hint,
               .pid = pid,
               .since = d.housekeeper.held_back_since.load()});
}

// Looks at the queues of the namespaces whose statistics the caller may see. Files a part of what was handed over
// there, so that a queue which nobody looks at is seen; the rest of a flood is left to the scheduler.
Survey survey_of(memory::SlotNo db) {
    auto *wanted = static_cast<bool *>(palloc0(sizeof(bool) * memory::map.shared->n_namespaces));
    auto *sums = static_cast<QueueSums *>(palloc0(sizeof(QueueSums) * memory::map.shared->n_namespaces));
    const bool ready = memory::state_of(db) == memory::DbState::Ready;
    memory::each_namespace(db, [&](memory::SlotNo ns) {
        wanted[ns] =
            !memory::map.namespaces[ns].dropped.load() && may(memory::map.namespaces[ns].ns_id, store::priv_look);
        if (wanted[ns] && ready) dispatch::drain_some(ns);
    });
    const int most = memory::map.shared->used_queues;
    auto *queues = static_cast<dispatch::QueueSurvey *>(palloc(sizeof(dispatch::QueueSurvey) * (most + 1)));
    const int n = dispatch::survey_queues(db, wanted, queues, most);
    for (int i = 0; i < n; i++) {
        const memory::Queue &q = memory::map.queues[queues[i].queue];
        sums[q.ns].hinted += q.hinted.load();
        if (q.paused) continue;
        sums[q.ns].ready += queues[i].ready;
        sums[q.ns].outside += queues[i].outside;
    }
    return {db, pg::this_moment(), wanted, {queues, static_cast<Size>(n)}, sums};
}

void put_database(ReturnSetInfo *info, memory::SlotNo db) {
    memory::Database &d = memory::database(db);
    const Survey survey = survey_of(db);
    put_starts(info, d, survey.now);
    put_cleaning(info, d);
    put_owed(info, db);
    put_memory(info);
    put_roles(info, survey);
    put_queues(info, survey);
    memory::each_namespace(db, [&](memory::SlotNo ns) {
        if (survey.wanted[ns]) put_namespace(info, ns, survey);
    });
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_problems) {
    InitMaterializedSRF(fcinfo, 0);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (!memory::loaded()) {
        put(info, {.severity = "critical",
                   .word = "not_preloaded",
                   .message = "pgqueue is not preloaded, no task runs",
                   .hint = "Add pgqueue to shared_preload_libraries in postgresql.conf and restart the server."});
        return Datum(0);
    }
    put_server(info);
    memory::SlotNo db = memory::find_database(MyDatabaseId);
    if (db >= 0) put_database(info, db);
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_internal_incidents) {
    InitMaterializedSRF(fcinfo, 0);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    memory::SlotNo db = memory::loaded() ? memory::find_database(MyDatabaseId) : -1;
    if (db < 0) return Datum(0);
    for (auto [kind, code] :
         {std::pair{memory::Incident::Quarantined, "PQ103"}, std::pair{memory::Incident::NoHandler, "PQ104"},
          std::pair{memory::Incident::Failed, ""}}) {
        int64 ids[memory::incident_places];
        int n = signal::read_incidents(db, kind, ids);
        for (int i = 0; i < n; i++) {
            Datum values[2] = {CStringGetTextDatum(code), Int64GetDatum(ids[i])};
            bool nulls[2] = {*code == '\0', false};
            tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
        }
    }
    return Datum(0);
}
