#include "dispatch/apply.hpp"

#include "dispatch/group_sets.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/priorities.hpp"
#include "dispatch/waiters.hpp"
#include "memory/roles.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

void configure_namespace(SlotNo db, const NamespaceConfig &config) {
    each_namespace(db, [&config](SlotNo ns) {
        if (map.namespaces[ns].ns_id != config.ns_id) return;
        pg::LwLockGuard lock(namespace_lock(ns));
        map.namespaces[ns].weight = Max(config.weight, 1);
        map.namespaces[ns].max_running = config.max_running;
        map.namespaces[ns].paused = config.paused;
        map.namespaces[ns].shares = config.shares;
        revise_namespace_locked(ns);
    });
}

void configure_queue(SlotNo queue, const QueueSettings &settings) {
    Queue &q = map.queues[queue];
    pg::LwLockGuard lock(namespace_lock(q.ns));
    // A new bucket is full. A changed one keeps the tokens that fit.
    if (!q.configured || q.rate_limit <= 0) q.bucket = {static_cast<double>(settings.rate_burst), pg::monotonic_now()};
    const bool regroup = q.configured && !q.same_groups(settings);
    static_cast<QueueSettings &>(q) = settings;
    q.bucket.tokens = Min(q.bucket.tokens, static_cast<double>(q.rate_burst));
    q.throttled_until = 0;
    q.configured = true;
    revise_queue_locked(queue);
    if (regroup) settle_groups_locked(queue);
}

namespace {

// Frees the empty lists of a queue, so that they no longer count for its namespace. The other lists count until
// dispatch/free_dropped.cpp frees them.
void free_empty_lists_of_queue_locked(const Queue &q) {
    for (SlotNo lane : lanes_of(q)) free_empty_lists_locked(lane);
}

}  // namespace

void drop_queue(SlotNo queue) {
    Queue &q = map.queues[queue];
    if (is_dropped(q)) return;
    q.drop = UINT64_MAX;  // it is not put down before the drop is counted
    pg_memory_barrier();
    hide_queue(queue);
    q.drop = count_drop();
    database(q.db).places.drops_pending.fetch_add(1);
    {
        pg::LwLockGuard lock(namespace_lock(q.ns));
        q.paused = true;
        revise_queue_locked(queue);
        free_empty_lists_of_queue_locked(q);
        for (auto &c : q.counts) c.store(0);
        q.failed_since.store(0);
    }
    database(q.db).cleaning.owed.store(true);
    database(q.db).cleaning.timer.store(true);
    // Sessions that wait for its tasks look the queue up by its name again.
    wake_task_waiters(queue, max_task_waiters);
}

void drop_namespace(SlotNo db, int32 ns_id) {
    each_namespace(db, [db, ns_id](SlotNo no) {
        Namespace &ns = map.namespaces[no];
        if (ns.ns_id != ns_id || ns.dropped.exchange(true)) return;
        unlink_sources(no);
        ns.drop = count_drop();
        database(db).places.drops_pending.fetch_add(1);
    });
}

void drop_everything(SlotNo db) {
    each_queue(db, [](SlotNo queue) { drop_queue(queue); });
    each_namespace(db, [db](SlotNo ns) { drop_namespace(db, map.namespaces[ns].ns_id); });
}

}  // namespace pgqueue::dispatch
