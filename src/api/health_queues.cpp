// View health: what is wrong with queues and namespaces.
#include "api/health.hpp"

#include "api/call.hpp"
#include "api/hint_texts.hpp"
#include "api/longest_wait.hpp"
#include "dispatch/ended_leases.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/look.hpp"
#include "dispatch/usage.hpp"
#include "handover/counts.hpp"
#include "memory/registry.hpp"
#include "pg/clock.hpp"
#include "store/lock_holders.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/dependencies.hpp"

namespace pgqueue::api {
namespace {

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
    dispatch::QueueLook look = dispatch::inspect_queue(no);
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

}  // namespace

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
    const HealthCase queue{no, ns, known, GetCurrentTimestamp()};
    put_late(info, queue);
    put_failed_pile(info, queue);
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

namespace {

// Counts ready tasks in queues that only the namespace's limit blocks.
int64 ready_in(memory::SlotNo ns) {
    int64 n = 0;
    for (memory::SlotNo i = 0; i < memory::map.shared->used_queues; i++) {
        const memory::Queue &q = memory::map.queues[i];
        if (q.used && q.ns == ns && !q.paused) n += dispatch::inspect_queue(i).ready;
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

}  // namespace

void put_namespace(ReturnSetInfo *info, memory::SlotNo no) {
    const memory::Namespace &ns = memory::map.namespaces[no];
    const store::NamespaceInfo *known = store::namespace_by_id(ns.ns_id);
    if (known == nullptr) return;
    put_paused_namespace(info, no, *known);
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

}  // namespace pgqueue::api
