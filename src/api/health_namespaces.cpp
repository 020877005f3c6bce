// View health: what is wrong with namespaces.
#include "api/health.hpp"

#include "api/call.hpp"
#include "api/hint_texts.hpp"
#include "api/longest_wait.hpp"
#include "dispatch/ended_leases.hpp"
#include "dispatch/look.hpp"
#include "dispatch/usage.hpp"
#include "handover/counts.hpp"
#include "memory/registry.hpp"
#include "pg/clock.hpp"
#include "store/queues.hpp"
#include "task/dependencies.hpp"

namespace pgqueue::api {

namespace {

// Reports a paused namespace with waiting tasks.
void put_paused(ReturnSetInfo *info, memory::SlotNo no, const store::NamespaceInfo &known, const Survey &survey) {
    if (!memory::map.namespaces[no].paused || survey.sums[no].hinted == 0) return;
    put(info,
        {.severity = "warning",
         .word = "namespace_paused",
         .message = "the namespace is paused and has waiting tasks",
         .hint = psprintf("SELECT pgqueue.update_namespace(%s, paused => false);", quote_literal_cstr(known.name)),
         .ns_id = known.id,
         .since = longest_wait_among(survey.queues, no, dispatch::every_role)});
}

// Reports a namespace that has used up its part of what all share, if its tasks wait or its queues are refused for
// that.
void put_shares(ReturnSetInfo *info, memory::SlotNo no, const char *name, const Survey &survey) {
    const memory::Namespace &ns = memory::map.namespaces[no];
    const char *raise = psprintf("Or have a member of pgqueue_admin raise it: SELECT pgqueue.update_namespace(%s,",
                                 quote_literal_cstr(name));
    dispatch::LeaseShare leases = dispatch::lease_share(ns);
    const int64 waiting = leases.room() == 0 ? survey.sums[no].outside : 0;
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
                   .since = longest_wait_among(survey.queues, no, -1)});
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

void put_namespace(ReturnSetInfo *info, memory::SlotNo no, const Survey &survey) {
    const memory::Namespace &ns = memory::map.namespaces[no];
    const store::NamespaceInfo *known = store::namespace_by_id(ns.ns_id);
    if (known == nullptr) return;
    put_paused(info, no, *known, survey);
    if (!ns.paused) put_shares(info, no, known->name, survey);
    put_more_shares(info, no, *known);
    auto running = ns.running.load();
    int64 ready = known->max_running > 0 && running >= known->max_running && !ns.paused ? survey.sums[no].ready : 0;
    if (ready > 0)
        put(info, {.severity = "warning",
                   .word = "limit",
                   .message = psprintf("%s: %d of the namespace %s held, max_running is %d", waiting(ready), running,
                                       are(running), known->max_running),
                   .hint = double_limit(*known, nullptr, "max_running", Min(known->max_running, PG_INT32_MAX / 2)),
                   .ns_id = ns.ns_id,
                   .since = longest_wait_among(survey.queues, no, dispatch::every_role)});
    int64 depth = known->max_depth > 0 ? handover::unfinished_of_namespace(no) : 0;
    if (known->max_depth > 0 && depth >= known->max_depth)
        put(info, {.severity = "warning",
                   .word = "queue_full",
                   .message = psprintf("the namespace has %s, max_depth is " INT64_FORMAT,
                                       tasks_of(depth, "unfinished"), known->max_depth),
                   .hint = double_limit(*known, nullptr, "max_depth", static_cast<double>(known->max_depth)),
                   .ns_id = ns.ns_id,
                   .since = shown(&ns.full_since, survey.now)});
    put_priorities(info, no, *known);
}

}  // namespace pgqueue::api
