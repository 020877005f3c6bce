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

// Returns the statement that asks why the first task waits. id: of it, 0 not known; then all tasks are searched for it.
const char *why_first(int64 id, const char *where) {
    if (id != 0) return psprintf("SELECT * FROM pgqueue.why(" INT64_FORMAT ");", id);
    return psprintf(
        "SELECT t.id, w.* FROM (SELECT id FROM pgqueue.task WHERE %s AND status IN ('new', 'retry') "
        "ORDER BY created_at LIMIT 1) t, pgqueue.why(t.id) w;",
        where);
}

}  // namespace

bool may_be_late(const dispatch::QueueSurvey &s, const pg::Moment &) {
    const memory::Queue &q = map.queues[s.queue];
    if (config::health_wait < 0 || q.paused || map.namespaces[q.ns].paused) return false;
    // A limit has a row of its own.
    return s.ready > 0 && !s.full && !s.ns_full && !s.throttled;
}

bool seems_late(const dispatch::QueueSurvey &s, const pg::Moment &now) {
    return s.since != 0 && now.monotonic - s.since >= int64{config::health_wait} * 1000;
}

bool write_late(ReturnSetInfo *info, const HealthCase &c) {
    const int64 ready = dispatch::inspect_queue(c.queue).ready;
    int64 first = 0;
    const TimestampTz since = longest_wait(c.queue, dispatch::every_role, &first);
    if (ready == 0 || since == 0 || c.now.wall - since < int64{config::health_wait} * 1000) return false;
    const char *where = of_queue(*c.ns, *c.info), *them = ready == 1 ? "it" : "them";
    const bool deserted = is_deserted(c.queue, ready);
    put(info,
        {.severity = "warning",
         .word = deserted ? "no_outside_worker" : "late",
         .message = deserted ? psprintf("%s, and no outside worker takes %s", waiting(ready), them)
                             : psprintf("%s, the first of them longer than pgqueue.health_wait allows", waiting(ready)),
         .hint = deserted ? psprintf("See who worked last: SELECT worker, max(started_at) FROM pgqueue.task WHERE %s "
                                     "AND worker IS NOT NULL GROUP BY worker;",
                                     where)
                          : why_first(first, where),
         .queue_id = c.info->id,
         .since = since,
         .problems = c.problems});
    return true;
}

bool has_failed_pile(const dispatch::QueueSurvey &s, const pg::Moment &) {
    return config::health_failures > 0 &&
           map.queues[s.queue].counts[static_cast<int>(Status::Failed)].load() >= config::health_failures;
}

bool write_failed_pile(ReturnSetInfo *info, const HealthCase &c) {
    const memory::Queue &q = map.queues[c.queue];
    const int64 failed = q.counts[static_cast<int>(Status::Failed)].load();
    put(info, {.severity = "warning",
               .word = "failures",
               .message = psprintf("%s %s kept", tasks_of(failed, "failed"), are(failed)),
               .hint = psprintf("See why: SELECT error_code, error, count(*) FROM pgqueue.task WHERE %s AND status = "
                                "'failed' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10;",
                                of_queue(*c.ns, *c.info)),
               .queue_id = q.queue_id,
               .since = q.failed_since.load(),
               .problems = c.problems});
    return true;
}

}  // namespace pgqueue::api
