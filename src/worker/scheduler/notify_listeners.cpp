// Notifies listeners of queues that have got ready tasks for outside workers.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

constinit pg::Deadline notified{INT64_MIN};  // when we last did so

void notify_of(const memory::Queue &queue) {
    const store::QueueInfo *info = store::queue_by_id(queue.queue_id);
    const store::NamespaceInfo *ns = info ? store::namespace_by_id(info->ns_id) : nullptr;
    if (ns == nullptr) return;
    char channel[NAMEDATALEN];
    snprintf(channel, sizeof(channel), "pgqueue_%s", ns->name);
    Async_Notify(channel, info->name);
}

// Sends one NOTIFY for each queue that got ready tasks for outside workers since the last time. Returns false if that
// failed.
bool notify_queues() {
    auto *notified = static_cast<SlotNo *>(
        MemoryContextAlloc(self.scratch, sizeof(SlotNo) * static_cast<Size>(map.shared->n_queues)));
    int n = 0;
    bool ok = transact("notify listeners", [notified, &n] {
        memory::each_queue(self.db, [notified, &n](SlotNo q) {
            if (!map.queues[q].unnotified.exchange(false)) return;
            notified[n++] = q;
            notify_of(map.queues[q]);
        });
    });
    for (int i = 0; i < n && !ok; i++) map.queues[notified[i]].unnotified.store(true);
    return ok;
}

}  // namespace

pg::Deadline notify_listeners(const pg::Moment &now) {
    memory::Database &d = my_db();
    if (config::notify_interval < 0 || !d.waiters.listened.load() || !d.waiters.unnotified.load()) return never;
    pg::Deadline next = notified.after(int64(config::notify_interval) * 1000);
    if (!next.passed(now)) return next;
    notified = now.in(0);
    d.waiters.unnotified.store(false);
    pg_memory_barrier();
    if (notify_queues()) return never;
    d.waiters.unnotified.store(true);
    notified = now.in(USECS_PER_SEC);
    return notified;
}

}  // namespace pgqueue::worker::scheduler
