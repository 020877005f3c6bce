// View health: what is wrong in this database, and what to do. There is one small function for each kind of problem.
#include "api/call.hpp"

#include "api/hints.hpp"
#include "api/longest_wait.hpp"
#include "config/settings.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/lease_look.hpp"
#include "dispatch/look.hpp"
#include "dispatch/usage.hpp"
#include "handover/counts.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "pg/clock.hpp"
#include "pg/guards.hpp"
#include "pg/snapshots.hpp"
#include "signal/incidents.hpp"
#include "store/holders.hpp"
#include "store/identity.hpp"
#include "store/rows.hpp"
#include "task/workflow.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

struct Problem {
    const char *severity, *word, *message, *hint;
    int32 ns_id = 0, queue_id = 0;
    int pid = 0;
    TimestampTz since = 0;
};

void put(ReturnSetInfo *info, const Problem &p) {
    Datum values[8] = {CStringGetTextDatum(p.severity),
                       CStringGetTextDatum(p.word),
                       Int32GetDatum(p.ns_id),
                       Int32GetDatum(p.queue_id),
                       CStringGetTextDatum(p.message),
                       CStringGetTextDatum(p.hint),
                       Int32GetDatum(p.pid),
                       TimestampTzGetDatum(p.since)};
    bool nulls[8] = {false, false, p.ns_id == 0, p.queue_id == 0, false, false, p.pid == 0, p.since == 0};
    tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

// "1 ready task waits", "2 ready tasks wait".
const char *waiting(int64 ready) { return psprintf("%s %s", tasks_of(ready, "ready"), ready == 1 ? "waits" : "wait"); }

const char *are(int64 n) { return n == 1 ? "is" : "are"; }

// Converts a monotonic time to a wall clock time for display; 0 stays 0.
TimestampTz shown(const pg::Atomic<int64> *monotonic, const pg::Moment &now) {
    auto at = monotonic->load();
    return at != 0 ? now.to_wall(at) : 0;
}

// Reports reasons why nothing starts at all.
void put_server(ReturnSetInfo *info) {
    if (!config::enabled)
        put(info, {.severity = "critical",
                   .word = "disabled",
                   .message = "pgqueue.enabled is off, no task starts",
                   .hint = "ALTER SYSTEM SET pgqueue.enabled = on; SELECT pg_reload_conf();"});
    if (!config::serves_database(get_database_name(MyDatabaseId)))
        put(info, {.severity = "critical",
                   .word = "disabled",
                   .message = "pgqueue.databases leaves this database out, no task starts",
                   .hint = serve_this_database()});
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

void put_starts(ReturnSetInfo *info, memory::Database &d, const pg::Moment &now) {
    if (d.service.no_slot_since.load() != 0)
        put(info, {.severity = "warning",
                   .word = "no_worker_slot",
                   .message = "tasks wait because no further worker can be started",
                   .hint = more_workers(),
                   .since = now.to_wall(d.service.no_slot_since.load())});
    if (d.service.stopped.load())
        put(info, {.severity = "warning",
                   .word = "disabled",
                   .message = "workers were stopped by stop_workers()",
                   .hint = "SELECT pgqueue.ensure_workers();"});
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

constexpr int64 owed_patience = 5 * int64(USECS_PER_SEC);

const char *end_session(pid_t pid) { return psprintf("End it: SELECT pg_terminate_backend(%d);", pid); }

// Reports a session whose lock on one of our tables blocks us. Ignores our own processes.
pg::LockHolder table_holder(memory::Database &d) {
    constexpr LOCKMASK strong = LOCKBIT_ON(ShareLock) | LOCKBIT_ON(ShareRowExclusiveLock) | LOCKBIT_ON(ExclusiveLock) |
                                LOCKBIT_ON(AccessExclusiveLock);
    const pid_t ours[] = {d.scheduler.pid.load(), d.housekeeper.pid.load()};
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

// Reports a pause that has ended: the queue continues as soon as its row is free.
void put_overdue_pause(ReturnSetInfo *info, const memory::Queue &q) {
    pg::Moment now = pg::this_moment();
    if (!q.paused || q.paused_until == 0 || now.wall - q.paused_until <= owed_patience) return;
    pid_t pid = store::holder_of_queue(q.queue_id);
    put(info, {.severity = "warning",
               .word = "owed",
               .message = "the pause of the queue has ended, but a session has locked its row",
               .hint = pid != 0 ? end_session(pid) : "See the log of the server for the reason.",
               .queue_id = q.queue_id,
               .pid = pid,
               .since = q.paused_until});
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

// Returns the statement that doubles the limit of a queue or namespace.
const char *double_limit(const store::NamespaceInfo &ns, const store::QueueInfo *queue, const char *setting,
                         double now) {
    const char *ns_name = quote_literal_cstr(ns.name), *given = psprintf("%s => %.15g", setting, now * 2);
    if (queue == nullptr) return psprintf("SELECT pgqueue.update_namespace(%s, %s);", ns_name, given);
    return psprintf("SELECT pgqueue.update_queue(%s, %s, namespace => %s);", quote_literal_cstr(queue->name), given,
                    ns_name);
}

void put_queue_limits(ReturnSetInfo *info, memory::SlotNo no, const store::NamespaceInfo &ns,
                      const store::QueueInfo &queue) {
    const memory::Queue &q = memory::map.queues[no];
    dispatch::QueueLook look = dispatch::look_at_queue(no);
    if (look.ready == 0 || q.paused || (!look.full && look.next_token == 0)) return;
    TimestampTz since = longest_wait(no, dispatch::every_role);
    if (look.full)
        put(info, {.severity = "warning",
                   .word = "limit",
                   .message = psprintf("%s: %d of the queue %s held, max_running is %d", waiting(look.ready),
                                       look.running, are(look.running), look.max_running),
                   .hint = double_limit(ns, &queue, "max_running", Min(look.max_running, PG_INT32_MAX / 2)),
                   .queue_id = q.queue_id,
                   .since = since});
    if (look.next_token != 0)
        put(info, {.severity = "warning",
                   .word = "limit",
                   .message = psprintf("%s for the queue's rate_limit", waiting(look.ready)),
                   .hint = double_limit(ns, &queue, "rate_limit", q.rate_limit),
                   .queue_id = q.queue_id,
                   .since = since});
}

// Returns the statement that cancels what waits for a dropped role. A new role of its name does not get its tasks.
const char *cancel_held(const store::QueueInfo &queue, const char *role) {
    const store::NamespaceInfo *ns = store::namespace_by_id(queue.ns_id);
    return psprintf(
        "SELECT pgqueue.cancel_task(t.id) FROM pgqueue.task t, pgqueue.why(t.id) w WHERE t.namespace = %s AND t.queue "
        "= %s AND t.role = %s "
        "AND t.status IN ('new', 'retry') AND w.reason = 'role_missing';",
        quote_literal_cstr(ns != nullptr ? ns->name : ""), quote_literal_cstr(queue.name), quote_literal_cstr(role));
}

// Returns how many of the tasks still wait.
int64 waiting_of(const dispatch::HeldLook &look) {
    int64 waiting = look.tasks;
    for (int i = 0; i < look.n_refs; i++) {
        store::TaskRow row;
        if (!store::fetch(look.refs[i], false, &row) || !is_waiting(row.status)) waiting--;
    }
    return waiting;
}

// Reports tasks of roles that do not exist.
void put_held(ReturnSetInfo *info, memory::SlotNo no, const store::QueueInfo &queue) {
    dispatch::HeldLook look;
    for (memory::SlotNo lane = -1; dispatch::look_at_held(no, &lane, &look);) {
        int64 held = waiting_of(look);
        if (held <= 0) continue;
        int32 id = memory::map.roles[look.role].role_id;
        const char *name = store::shown_role(id);
        put(info, {.severity = "warning",
                   .word = "role_missing",
                   .message = psprintf("%s for role \"%s\", which does not exist", waiting(held), name),
                   .hint = store::role_of(id).restored ? psprintf("CREATE ROLE %s;", quote_identifier(name))
                                                       : cancel_held(queue, name),
                   .queue_id = queue.id,
                   .since = longest_wait(no, look.role)});
    }
}

void put_queue(ReturnSetInfo *info, memory::SlotNo no) {
    memory::Queue &q = memory::map.queues[no];
    const store::QueueInfo *known = store::queue_by_id(q.queue_id);
    const store::NamespaceInfo *ns = known ? store::namespace_by_id(known->ns_id) : nullptr;
    if (ns == nullptr) return;
    if (q.paused && q.hinted.load() > 0)
        put(info, {.severity = "warning",
                   .word = "queue_paused",
                   .message = "the queue is paused and has waiting tasks",
                   .hint = psprintf("SELECT pgqueue.resume_queue(%s, namespace => %s);",
                                    quote_literal_cstr(known->name), quote_literal_cstr(ns->name)),
                   .queue_id = q.queue_id,
                   .since = longest_wait(no, dispatch::every_role)});
    put_overdue_pause(info, q);
    put_queue_limits(info, no, *ns, *known);
    put_held(info, no, *known);
    int64 depth = known->max_depth > 0 ? handover::unfinished(no) : 0;
    if (known->max_depth > 0 && depth >= known->max_depth)
        put(info, {.severity = "warning",
                   .word = "queue_full",
                   .message = psprintf("the queue has %s, max_depth is " INT64_FORMAT, tasks_of(depth, "unfinished"),
                                       known->max_depth),
                   .hint = double_limit(*ns, known, "max_depth", static_cast<double>(known->max_depth)),
                   .queue_id = q.queue_id,
                   .since = shown(&q.full_since, pg::this_moment())});
}

// Counts ready tasks in queues that only the namespace's limit blocks.
int64 ready_in(memory::SlotNo ns) {
    int64 n = 0;
    for (memory::SlotNo i = 0; i < memory::map.shared->used_queues; i++) {
        const memory::Queue &q = memory::map.queues[i];
        if (q.used && q.ns == ns && !q.paused) n += dispatch::look_at_queue(i).ready;
    }
    return n;
}

// Counts ready tasks for outside workers in queues that nothing else blocks.
int64 ready_outside(memory::SlotNo ns) {
    int64 n = 0;
    for (memory::SlotNo i = 0; i < memory::map.shared->used_queues; i++) {
        const memory::Queue &q = memory::map.queues[i];
        if (!q.used || q.ns != ns || q.paused) continue;
        if (memory::SlotNo lane = dispatch::outside_lane(i); lane >= 0) n += memory::map.lanes[lane].count;
    }
    return n;
}

// Reports a namespace that has used up its part of what all share, if its tasks wait or its queues are refused for
// that.
void put_shares(ReturnSetInfo *info, memory::SlotNo no, const char *name) {
    const memory::Namespace &ns = memory::map.namespaces[no];
    const char *raise = psprintf("Or have a member of pgqueue_admin raise it: SELECT pgqueue.update_namespace(%s,",
                                 quote_literal_cstr(name));
    dispatch::LeaseShare leases = dispatch::lease_share(ns);
    int64 waiting = leases.room() == 0 ? ready_outside(no) : 0;
    if (waiting > 0)
        put(info, {.severity = "warning",
                   .word = "share_used_up",
                   .message = psprintf("namespace \"%s\" has its part of the leases: " INT64_FORMAT " of " INT64_FORMAT
                                       "; " INT64_FORMAT " ready tasks wait",
                                       name, leases.used, leases.limit(), waiting),
                   .hint = psprintf("Have its workers release what they hold: SELECT worker, count(*) FROM "
                                    "pgqueue.task WHERE namespace = %s AND "
                                    "status = 'retained' GROUP BY worker; %s max_leases => " INT64_FORMAT ");",
                                    quote_literal_cstr(name), raise,
                                    Min(leases.used * 2 + 1, int64(memory::map.shared->n_leases))),
                   .ns_id = ns.ns_id,
                   .since = longest_wait_in(no, -1)});
    memory::QueueShare queues = memory::queue_share(no);
    // A limit that was set is intended.
    if (queues.own == 0 && share_room(0, queues.used, queues.free) == 0)
        put(info, {.severity = "warning",
                   .word = "share_used_up",
                   .message = psprintf("namespace \"%s\" has its part of the queues: " INT64_FORMAT, name, queues.used),
                   .hint = psprintf("Delete unused queues with SELECT pgqueue.delete_queue('queue', namespace => %s); "
                                    "%s max_queues => " INT64_FORMAT ");",
                                    quote_literal_cstr(name), raise,
                                    Min(queues.used * 2 + 1, int64(memory::map.shared->n_queues))),
                   .ns_id = ns.ns_id});
}

// Reports a namespace whose tasks wait for memory for groups, or that is near its limit of dependencies.
void put_more_shares(ReturnSetInfo *info, memory::SlotNo no, const store::NamespaceInfo &known) {
    const memory::Namespace &ns = memory::map.namespaces[no];
    const char *name = quote_literal_cstr(known.name);
    if (ns.groups_short)
        put(info, {.severity = "warning",
                   .word = "share_used_up",
                   .message = psprintf("the namespace has its part of the memory for groups, with %d groups; further "
                                       "tasks with a group key wait in the table",
                                       ns.groups.used),
                   .hint = psprintf("Work on its tasks, or have a member of pgqueue_admin raise it: SELECT "
                                    "pgqueue.update_namespace(%s, max_groups => %d);",
                                    name, ns.groups.used * 2 + 1),
                   .ns_id = ns.ns_id});
    task::EdgeShare open = task::edge_share(known, no);
    if (open.used > 0 && open.used >= open.limit / 10 * 9)
        put(info, {.severity = "warning",
                   .word = "share_used_up",
                   .message = psprintf("the namespace has " INT64_FORMAT
                                       " dependencies of waiting tasks, its limit is " INT64_FORMAT,
                                       open.used, open.limit),
                   .hint = psprintf("Work on what its tasks wait for, or have a member of pgqueue_admin raise it: "
                                    "SELECT pgqueue.update_namespace(%s, max_dependencies => " INT64_FORMAT ");",
                                    name, open.limit * 2),
                   .ns_id = ns.ns_id});
}

// Reports a limit that was set. Without one, further priorities share lists.
void put_priorities(ReturnSetInfo *info, memory::SlotNo no, const store::NamespaceInfo &known) {
    if (known.shares.priorities == 0) return;
    int64 used = dispatch::priorities_in_use(no),
          limit = share_limit(known.shares.priorities, used, dispatch::usage_of(dispatch::Table::Priorities).capacity);
    if (used < limit) return;
    put(info, {.severity = "warning",
               .word = "share_used_up",
               .message = psprintf("the namespace has ready tasks of " INT64_FORMAT
                                   " priorities, max_priorities is " INT64_FORMAT ": tasks of others are refused",
                                   used, limit),
               .hint = psprintf("Have a member of pgqueue_admin raise it: SELECT pgqueue.update_namespace(%s, "
                                "max_priorities => " INT64_FORMAT ");",
                                quote_literal_cstr(known.name), limit * 2),
               .ns_id = known.id});
}

void put_namespace(ReturnSetInfo *info, memory::SlotNo no) {
    const memory::Namespace &ns = memory::map.namespaces[no];
    const store::NamespaceInfo *known = store::namespace_by_id(ns.ns_id);
    if (known == nullptr) return;
    if (!ns.paused) put_shares(info, no, known->name);
    put_more_shares(info, no, *known);
    auto running = ns.running.load();
    int64 ready = known->max_running > 0 && running >= known->max_running && !ns.paused ? ready_in(no) : 0;
    if (ready > 0)
        put(info, {.severity = "warning",
                   .word = "limit",
                   .message = psprintf("%s: %d of the namespace %s held, max_running is %d", waiting(ready), running,
                                       are(running), known->max_running),
                   .hint = double_limit(*known, nullptr, "max_running", Min(known->max_running, PG_INT32_MAX / 2)),
                   .ns_id = ns.ns_id,
                   .since = longest_wait_in(no, dispatch::every_role)});
    int64 depth = known->max_depth > 0 ? handover::unfinished_of_namespace(no) : 0;
    if (known->max_depth > 0 && depth >= known->max_depth)
        put(info, {.severity = "warning",
                   .word = "queue_full",
                   .message = psprintf("the namespace has %s, max_depth is " INT64_FORMAT,
                                       tasks_of(depth, "unfinished"), known->max_depth),
                   .hint = double_limit(*known, nullptr, "max_depth", static_cast<double>(known->max_depth)),
                   .ns_id = ns.ns_id,
                   .since = shown(&ns.full_since, pg::this_moment())});
    put_priorities(info, no, *known);
}

void put_role(ReturnSetInfo *info, memory::SlotNo no, const pg::Moment &now) {
    memory::Role &role = memory::map.roles[no];
    if (!OidIsValid(store::role_oid_of(role.role_id))) return;
    const char *name = store::shown_role(role.role_id);
    const bool shut_out = is_shut_out(store::role_oid_of(role.role_id));
    if (uint32 n = signal::in_loop(role.deaths, now))
        put(info, {.severity = "warning",
                   .word = "crash_loop",
                   .message = psprintf("workers of role \"%s\" ended by themselves %u times", name, n),
                   .hint = shut_out ? grant_connect(name)
                                    : "See the log of the server; tasks that ended their worker have error_code PQ102.",
                   .since = shown(&role.deaths.first, now)});
    dispatch::RoleLook look = dispatch::look_at_role(no);
    if (shut_out && look.ready > 0)
        put(info, {.severity = "warning",
                   .word = "no_worker_slot",
                   .message = psprintf("%s: role \"%s\" may not connect to this database", waiting(look.ready), name),
                   .hint = grant_connect(name),
                   .since = longest_wait_of(no)});
    if (look.full && look.ready > 0)
        put(info, {.severity = "warning",
                   .word = "limit",
                   .message = psprintf("%s: %d worker%s of role \"%s\" %s busy, pgqueue.max_workers_per_role is %d",
                                       waiting(look.ready), look.workers, look.workers == 1 ? "" : "s", name,
                                       are(look.workers), config::max_workers_per_role),
                   .hint = more_workers_of_role(),
                   .since = longest_wait_of(no)});
}

void put_database(ReturnSetInfo *info, memory::SlotNo db) {
    memory::Database &d = memory::database(db);
    if (memory::state_of(db) == memory::DbState::Ready) dispatch::drain_inboxes(db);
    pg::Moment now = pg::this_moment();
    put_starts(info, d, now);
    put_cleaning(info, d);
    put_owed(info, db);
    put_memory(info);
    for (memory::SlotNo i = 0; i < memory::map.shared->used_queues; i++) {
        memory::Queue &q = memory::map.queues[i];
        if (q.used && q.db == db && !memory::is_dropped(q)) put_queue(info, i);
    }
    memory::each_namespace(db, [info](memory::SlotNo ns) { put_namespace(info, ns); });
    for (memory::SlotNo i = 0; i < memory::map.shared->used_roles; i++)
        if (memory::map.roles[i].used && memory::map.roles[i].db == db) put_role(info, i, now);
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
         {std::pair{memory::Incident::Quarantined, "PQ103"}, std::pair{memory::Incident::NoHandler, "PQ104"}}) {
        int64 ids[memory::incident_places];
        int n = signal::read_incidents(db, kind, ids);
        for (int i = 0; i < n; i++) {
            Datum values[2] = {CStringGetTextDatum(code), Int64GetDatum(ids[i])};
            bool nulls[2] = {};
            tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
        }
    }
    return Datum(0);
}
