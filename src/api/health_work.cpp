// View health: work that stands still, and tasks that fail for good.
#include "api/health.hpp"

#include "api/call.hpp"
#include "api/longest_wait.hpp"
#include "config/server_settings.hpp"
#include "core/status.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/look.hpp"
#include "dispatch/waiters.hpp"
#include "store/queues.hpp"

namespace pgqueue::api {
namespace {

using memory::map;

// Returns "namespace = 'n' AND queue = 'q'", for hints.
const char *of_queue(const store::NamespaceInfo &ns, const store::QueueInfo &queue) {
    return psprintf("namespace = %s AND queue = %s", quote_literal_cstr(ns.name), quote_literal_cstr(queue.name));
}

// Returns whether all ready tasks of the queue are for outside workers, and nobody works on them or waits for one.
bool is_deserted(memory::SlotNo no, int64 ready) {
    const memory::SlotNo lane = dispatch::outside_lane(no);
    return lane >= 0 && map.lanes[lane].count >= ready && dispatch::count_waiting(no) == 0 &&
           map.queues[no].counts[static_cast<int>(Status::Retained)].load() == 0;
}

}  // namespace

void put_late(ReturnSetInfo *info, const HealthCase &c) {
    const memory::Queue &q = map.queues[c.queue];
    if (config::health_wait < 0 || q.paused || map.namespaces[q.ns].paused) return;
    const dispatch::QueueLook look = dispatch::inspect_queue(c.queue);
    // A limit has a row of its own.
    if (look.ready == 0 || look.full || look.ns_full || look.next_token != 0) return;
    const TimestampTz since = longest_wait(c.queue, dispatch::every_role);
    if (since == 0 || c.now - since < int64{config::health_wait} * 1000) return;
    const char *where = of_queue(*c.ns, *c.info);
    if (is_deserted(c.queue, look.ready))
        put(info,
            {.severity = "warning",
             .word = "no_outside_worker",
             .message =
                 psprintf("%s, and no outside worker takes %s", waiting(look.ready), look.ready == 1 ? "it" : "them"),
             .hint = psprintf("See who worked last: SELECT worker, max(started_at) FROM pgqueue.task WHERE %s AND "
                              "worker IS NOT NULL GROUP BY worker;",
                              where),
             .queue_id = q.queue_id,
             .since = since});
    else
        put(info,
            {.severity = "warning",
             .word = "late",
             .message = psprintf("%s, the first of them longer than pgqueue.health_wait allows", waiting(look.ready)),
             .hint = psprintf("SELECT t.id, w.* FROM (SELECT id FROM pgqueue.task WHERE %s AND status IN "
                              "('new', 'retry') ORDER BY created_at LIMIT 1) t, pgqueue.why(t.id) w;",
                              where),
             .queue_id = q.queue_id,
             .since = since});
}

void put_failed_pile(ReturnSetInfo *info, const HealthCase &c) {
    const memory::Queue &q = map.queues[c.queue];
    const int64 failed = q.counts[static_cast<int>(Status::Failed)].load();
    if (config::health_failures == 0 || failed < config::health_failures) return;
    put(info, {.severity = "warning",
               .word = "failures",
               .message = psprintf("%s kept", psprintf("%s %s", tasks_of(failed, "failed"), are(failed))),
               .hint = psprintf("See why: SELECT error_code, error, count(*) FROM pgqueue.task WHERE %s AND status = "
                                "'failed' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10;",
                                of_queue(*c.ns, *c.info)),
               .queue_id = q.queue_id,
               .since = q.failed_since.load()});
}

void put_paused_namespace(ReturnSetInfo *info, memory::SlotNo no, const store::NamespaceInfo &known) {
    if (!map.namespaces[no].paused) return;
    int64 hinted = 0;
    for (memory::SlotNo i = 0; i < map.shared->used_queues; i++)
        if (const memory::Queue &q = map.queues[i]; q.used && q.ns == no && !memory::is_dropped(q))
            hinted += q.hinted.load();
    if (hinted == 0) return;
    put(info,
        {.severity = "warning",
         .word = "namespace_paused",
         .message = "the namespace is paused and has waiting tasks",
         .hint = psprintf("SELECT pgqueue.update_namespace(%s, paused => false);", quote_literal_cstr(known.name)),
         .ns_id = known.id,
         .since = longest_wait_in(no, dispatch::every_role)});
}

}  // namespace pgqueue::api
