// The reasons of why(): one function for each.
#include "api/why.hpp"

#include "api/hint_texts.hpp"
#include "config/server_settings.hpp"
#include "dispatch/group_filing.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/missed.hpp"
#include "dispatch/waiters.hpp"
#include "executor/handler.hpp"
#include "memory/wake.hpp"
#include "store/dependencies.hpp"
#include "store/identity.hpp"
#include "task/route.hpp"

namespace pgqueue::api::why {
namespace {

const char *shown(TimestampTz at) { return pstrdup(timestamptz_to_str(at)); }

const char *are(int64 n) { return n == 1 ? "is" : "are"; }

// Returns a name as a literal for a hint.
const char *quoted(const char *name) { return quote_literal_cstr(name); }

const char *for_queue(const Case &c, const char *call) {
    return psprintf("SELECT pgqueue.%s(%s, namespace => %s);", call, quoted(c.queue->name), quoted(c.ns->name));
}

// Returns update_queue or update_namespace with a new value, to be filled in.
const char *raise_in_queue(const Case &c, const char *setting) {
    return psprintf("Raise it: SELECT pgqueue.update_queue(%s, %s => ..., namespace => %s);", quoted(c.queue->name),
                    setting, quoted(c.ns->name));
}

// ===== the server and the database =====

// Adds reasons for which no task of this database starts, then those for which workers run none. Returns whether there
// are any of the first kind.
bool add_disabled(const Case &c, Reasons *reasons) {
    int before = reasons->count;
    if (!config::enabled)
        reasons->add({"disabled", "pgqueue.enabled is off, no task starts.",
                      "ALTER SYSTEM SET pgqueue.enabled = on; SELECT pg_reload_conf();"});
    if (!config::serves_database(get_database_name(MyDatabaseId)))
        reasons->add({"disabled", "pgqueue.databases leaves this database out.", serve_this_database()});
    if (memory::launcher_missing(5 * int64(USECS_PER_SEC)))
        reasons->add({"disabled", "The launcher has ended and the server does not bring it back: no process starts.",
                      "SELECT pgqueue.ensure_workers();"});
    if (!store::is_ours())
        reasons->add({"not_adopted", "This database was restored, copied or cloned; its tasks are held.",
                      "SELECT pgqueue.adopt();"});
    bool off = reasons->count > before;
    if (!c.in_server) return off;
    if (c.db >= 0 && memory::database(c.db).service.stopped_since.load() != 0)
        reasons->add({"disabled", "The workers were stopped by stop_workers().", "SELECT pgqueue.ensure_workers();"});
    if (config::max_workers() == 0)
        reasons->add({"disabled", "pgqueue.max_workers is 0: the server runs no tasks.",
                      "ALTER SYSTEM RESET pgqueue.max_workers; SELECT pg_reload_conf();"});
    return off;
}

const char *why_not_loaded(const Case &c) {
    if (TransactionIdIsCurrentTransactionId(c.row.xmin))
        return "This transaction has created or changed the task; it counts from the commit on.";
    if (c.live) {
        const memory::Lost lost = memory::database(c.db).reading.lost.load();
        bool listed = c.position.listed != dispatch::Listed::No;
        if (listed || is_held_off(c)) return nullptr;
        if (c.row.group == 0 && dispatch::may_be_missed(memory::map.queues[c.slot].ns, c.row.ref.id))
            return "The dispatcher is reading the tasks of a large transaction.";
        if (memory::map.namespaces[memory::map.queues[c.slot].ns].crowded.load())
            return "The dispatcher's memory has no room yet for more tasks of its namespace.";
        if (lost == memory::Lost::Nothing) return nullptr;
        return lost == memory::Lost::Full ? "The dispatcher's memory was full; the tasks are read again from the rows."
                                          : "The configuration has changed; the tasks are read again from the rows.";
    }
    if (c.db >= 0 && memory::state_of(c.db) == memory::DbState::Loading)
        return "The dispatcher is reading the tasks of this database.";
    return "No scheduler serves this database yet.";
}

}  // namespace

void add_server(const Case &c, Reasons *reasons) {
    if (RecoveryInProgress())
        return reasons->add({"not_loaded", "This server is a standby; tasks run on its primary server."});
    if (!memory::loaded())
        return reasons->add({"not_loaded", "pgqueue is not preloaded, no task runs.",
                             "Add pgqueue to shared_preload_libraries in postgresql.conf and restart the server."});
    if (add_disabled(c, reasons)) return;
    if (c.db >= 0 && lacks_scheduler(memory::database(c.db)))
        reasons->add({"no_worker_slot",
                      "The scheduler cannot be started: other processes have all of max_worker_processes.",
                      who_has_slots()});
    if (const char *message = why_not_loaded(c)) reasons->add({"not_loaded", message});
}

namespace {

// ===== the task, its queue and namespace =====

void add_paused(const Case &c, Reasons *reasons) {
    if (c.ns->paused)
        reasons->add({"namespace_paused", psprintf("Namespace \"%s\" is paused.", c.ns->name),
                      psprintf("SELECT pgqueue.update_namespace(%s, paused => false);", quoted(c.ns->name))});
    if (!c.queue->paused) return;
    TimestampTz until = c.queue->paused_until;
    reasons->add({"paused",
                  until != 0 ? psprintf("Queue \"%s\" is paused until %s.", c.queue->name, shown(until))
                             : psprintf("Queue \"%s\" is paused.", c.queue->name),
                  for_queue(c, "resume_queue"), until});
}

void add_delayed(const Case &c, Reasons *reasons) {
    if (c.row.delayed_at <= c.now || (c.row.flags & flag_waits) != 0) return;
    bool again = c.row.status == Status::Retry, dies = c.row.dies_at != 0 && c.row.dies_at <= c.row.delayed_at;
    const char *message =
        dies    ? psprintf("It expires at %s, before it is due at %s.", shown(c.row.dies_at), shown(c.row.delayed_at))
        : again ? psprintf("It is tried again at %s.", shown(c.row.delayed_at))
                : psprintf("It is not due before %s.", shown(c.row.delayed_at));
    reasons->add({again ? "retry_wait" : "delayed", message,
                  psprintf("To run it at once: SELECT pgqueue.retry_task(" INT64_FORMAT ");", c.row.ref.id),
                  dies ? 0 : c.row.delayed_at});
}

void add_dependency(const Case &c, Reasons *reasons) {
    if ((c.row.flags & flag_waits) == 0) return;
    store::Ids ids = store::all_awaited_by(c.ns->id, c.row.ref.id);
    store::Batch batch = store::awaited_batch(c.ns->id, c.row.ref.id);
    if (ids.count > 0)
        reasons->add({"dependency",
                      ids.count == 1 ? psprintf("It waits for task " INT64_FORMAT ".", ids.items[0])
                                     : psprintf("It waits for %d tasks, one of them is " INT64_FORMAT ".", ids.count,
                                                ids.items[0]),
                      psprintf("SELECT * FROM pgqueue.why(" INT64_FORMAT ");", ids.items[0])});
    if (batch.key != nullptr) {
        const char *key = text_to_cstring(batch.key);
        reasons->add({"dependency", psprintf("It waits until no task of batch \"%s\" is unfinished.", key),
                      psprintf("SELECT id, queue, status FROM pgqueue.task WHERE namespace = %s AND batch_key = %s AND "
                               "status IN ('new', 'retry', 'retained');",
                               quoted(c.ns->name), quoted(key))});
    }
    if (ids.count == 0 && batch.key == nullptr)
        reasons->add({"dependency", "The tasks that it waited for have ended; the scheduler will make it ready."});
}

// Returns the function for the task's type that has the role for which the task waits; nullptr: there is none.
const char *function_of(const Case &c, Oid role) {
    task::Route route = task::route_of(*c.queue, c.row.type);
    if (!route.found || route.handle.role == role) return route.handle.function;
    for (std::span<const HandlerStep> steps : {route.before, route.after})
        for (const HandlerStep &step : steps)
            if (step.role == role) return step.function;
    return nullptr;
}

// A dropped role does not come back. A role that a dump lacked is found as soon as it is created.
void add_role_missing(const Case &c, Reasons *reasons) {
    if (!c.in_server) return;
    store::RoleKey role = store::role_of(c.runner);
    if (OidIsValid(role.oid)) return;
    const char *name = store::shown_role(c.runner);
    const char *create = role.restored ? psprintf("CREATE ROLE %s;", quote_identifier(name)) : nullptr;
    const char *function = task::by_handlers(*c.queue, c.row.flags) && c.runner != c.row.role_id
                               ? function_of(c, static_cast<Oid>(c.runner))
                               : nullptr;
    if (function != nullptr)
        return reasons->add(
            {"role_missing",
             psprintf("Role \"%s\", as which function %s for its type runs, does not exist.", name, function),
             create ? create : "SELECT namespace, message, hint FROM pgqueue.health WHERE problem = 'role_missing';"});
    reasons->add({"role_missing", psprintf("Role \"%s\", as which it would run, does not exist.", name),
                  create ? create : psprintf("SELECT pgqueue.cancel_task(" INT64_FORMAT ");", c.row.ref.id)});
}

// Adds functions for its type that are gone, or differ from those that were registered.
void add_broken_steps(std::span<const HandlerStep> steps, Reasons *reasons) {
    for (const HandlerStep &step : steps)
        if (const char *trouble = executor::trouble_of_step(step))
            reasons->add({"no_handler", psprintf("An attempt fails: %s.", trouble),
                          "SELECT namespace, message, hint FROM pgqueue.health WHERE problem = 'no_handler';"});
}

void add_no_handler(const Case &c, Reasons *reasons) {
    if (!task::by_handlers(*c.queue, c.row.flags)) return;
    if (task::Route route = task::route_of(*c.queue, c.row.type); route.found) {
        add_broken_steps(route.before, reasons);
        add_broken_steps({&route.handle, 1}, reasons);
        add_broken_steps(route.after, reasons);
        return;
    }
    const char *type = c.row.type != nullptr ? c.row.type : "";
    reasons->add({"no_handler", psprintf("There is no handler for type \"%s\"; an attempt fails with PQ104.", type),
                  psprintf("SELECT pgqueue.create_handler(%s, 'function', namespace => %s);", quoted(type),
                           quoted(c.ns->name))});
}

// In its group a task waits for the tasks before it, whatever blocks the first of them.
void add_group(const Case &c, Reasons *reasons) {
    if (c.row.group == 0) return;
    if (dispatch::is_left_out(c.slot, c.row.ref.id)) {
        if (memory::map.namespaces[memory::map.queues[c.slot].ns].groups_short)
            return reasons->add(
                {"share_used_up",
                 psprintf("Namespace \"%s\" has its part of the memory for groups; the task waits in the table, and "
                          "comes in the order of its id.",
                          c.ns->name),
                 psprintf(
                     "SELECT message, hint FROM pgqueue.health WHERE problem = 'share_used_up' AND namespace = %s;",
                     quoted(c.ns->name))});
        return reasons->add({"not_loaded", "The dispatcher is reading the tasks of groups of its namespace."});
    }
    dispatch::GroupLook g = dispatch::look_at_group(c.slot, c.row.group, c.row.ref.id);
    if (g.running >= g.max_running)
        reasons->add({"group",
                      psprintf("%s of its group %s held, group_max_running is %d.", tasks_of(g.running), are(g.running),
                               g.max_running),
                      raise_in_queue(c, "group_max_running")});
    if (g.before > 0)
        reasons->add(
            {"group",
             g.before == 1
                 ? psprintf("Task " INT64_FORMAT " of its group runs before it.", g.head)
                 : psprintf("%s" INT64_FORMAT " tasks of its group run before it, the first is " INT64_FORMAT ".",
                            g.before == dispatch::group_look_most ? "At least " : "", g.before, g.head),
             psprintf("SELECT * FROM pgqueue.why(" INT64_FORMAT ");", g.head)});
    if (g.before == 0 && g.next_token != 0)
        reasons->add({"group",
                      psprintf("The group_rate_limit of queue \"%s\" allows the next start of its group at %s.",
                               c.queue->name, shown(g.next_token)),
                      raise_in_queue(c, "group_rate_limit"), g.next_token});
}

void add_limits(const Case &c, Reasons *reasons) {
    const dispatch::QueueLook &l = c.look;
    if (l.full)
        reasons->add({"max_running",
                      psprintf("%s of queue \"%s\" %s held, its max_running is %d.", tasks_of(l.running), c.queue->name,
                               are(l.running), l.max_running),
                      raise_in_queue(c, "max_running")});
    if (l.ns_full)
        reasons->add(
            {"namespace_limit",
             psprintf("%s of namespace \"%s\" %s held, its max_running is %d.", tasks_of(l.ns_running), c.ns->name,
                      are(l.ns_running), l.ns_max_running),
             psprintf("Raise it: SELECT pgqueue.update_namespace(%s, max_running => ...);", quoted(c.ns->name))});
    if (l.no_lease && !c.in_server)
        reasons->add({"lease_limit",
                      psprintf("Namespace \"%s\" has " INT64_FORMAT
                               " leases, its part of those of the server is " INT64_FORMAT ".",
                               c.ns->name, l.leases, l.lease_limit),
                      psprintf("End some of its tasks that are held, or have a member of pgqueue_admin raise it: "
                               "SELECT pgqueue.update_namespace(%s, max_leases => ...);",
                               quoted(c.ns->name))});
    if (l.next_token != 0)
        reasons->add({"rate_limit",
                      psprintf("The rate_limit of queue \"%s\" allows the next start at %s.", c.queue->name,
                               shown(l.next_token)),
                      raise_in_queue(c, "rate_limit"), l.next_token});
}

}  // namespace

void add_waiting(const Case &c, Reasons *reasons) {
    add_paused(c, reasons);
    add_delayed(c, reasons);
    add_dependency(c, reasons);
    add_no_handler(c, reasons);
    add_role_missing(c, reasons);
    if (!c.live || is_held_off(c)) return;
    add_group(c, reasons);
    add_limits(c, reasons);
}

namespace {

// ===== places to run =====

void add_no_worker(const Case &c, Reasons *reasons) {
    if (c.role < 0) return;
    dispatch::RoleLook l = dispatch::look_at_role(c.role);
    if (l.idle > 0) return;
    if (!OidIsValid(store::role_oid_of(c.runner))) return;
    const char *role = store::shown_role(c.runner);
    if (is_shut_out(store::role_oid_of(c.runner)))
        return reasons->add(
            {"no_worker_slot", psprintf("Role \"%s\" may not connect to this database.", role), grant_connect(role)});
    if (memory::map.roles[c.role].refused.load())
        return reasons->add({"no_worker_slot", psprintf("Workers of role \"%s\" end before they begin.", role),
                             "See the log of the server for the reason."});
    if (l.full)
        return reasons->add({"role_limit",
                             psprintf("All %d workers of role \"%s\" are busy, pgqueue.max_workers_per_role is %d.",
                                      l.workers, role, config::max_workers_per_role),
                             more_workers_of_role()});
    auto all = memory::map.shared->total_workers.load();
    // Idle workers of other roles make room.
    if (config::max_workers() > 0 && all >= config::max_workers() && !dispatch::any_idle_worker())
        reasons->add({"no_worker_slot", psprintf("All %d workers of the cluster are busy.", all), more_workers()});
    else if (memory::database(c.db).service.no_slot_since.load() != 0)
        reasons->add({"no_worker_slot", psprintf("No worker can be started for role \"%s\".", role), more_workers()});
}

void add_no_outside_worker(const Case &c, Reasons *reasons) {
    if (dispatch::is_held_outside(c.slot) || dispatch::is_awaited_outside(c.slot)) return;
    reasons->add({"no_outside_worker",
                  psprintf("No outside worker waits for queue \"%s\" or holds a task of it.", c.queue->name),
                  psprintf("SELECT * FROM pgqueue.next_task('worker', %s, namespace => %s);", quoted(c.queue->name),
                           quoted(c.ns->name))});
}

}  // namespace

void add_places(const Case &c, Reasons *reasons) {
    if (!c.live || is_held_off(c)) return;
    if (c.position.listed == dispatch::Listed::InFile)
        reasons->add(
            {"spilled",
             psprintf("Its place in line is in the spill file, behind at least %s.", tasks_of(c.position.ahead)),
             "Raise pgqueue.dispatch_memory, or wait: the order is kept."});
    if (dispatch::is_popped(c.db, c.row.ref.id)) return;
    if (c.in_server)
        add_no_worker(c, reasons);
    else
        add_no_outside_worker(c, reasons);
}

}  // namespace pgqueue::api::why
