// Notifies listeners of queues that have got ready tasks for outside workers, or whose tasks have failed for good.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

constinit pg::Deadline notified{INT64_MIN};  // when we last did so

// What a queue has to tell: ready tasks for outside workers, tasks that have failed for good.
struct News {
    SlotNo queue;
    bool ready, failures;
};

void notify_of(const News &news) {
    const store::QueueInfo *info = store::queue_by_id(map.queues[news.queue].queue_id);
    const store::NamespaceInfo *ns = info ? store::namespace_by_id(info->ns_id) : nullptr;
    if (ns == nullptr) return;
    char channel[NAMEDATALEN];
    auto notify = [&](const char *prefix) {
        snprintf(channel, sizeof(channel), "%s%s", prefix, ns->name);
        Async_Notify(channel, info->name);
    };
    if (news.ready) notify("pgqueue_");
    if (news.failures) notify("pgqueue_failed:");
}

// Sends one NOTIFY of each kind for each queue that has had news since the last time. Returns false if that failed.
bool notify_queues() {
    auto *sent =
        static_cast<News *>(MemoryContextAlloc(self.scratch, sizeof(News) * static_cast<Size>(map.shared->n_queues)));
    int n = 0;
    bool ok = transact("notify listeners", [sent, &n] {
        memory::each_queue(self.db, [sent, &n](SlotNo no) {
            memory::Queue &q = map.queues[no];
            const News news{no, q.unnotified.exchange(false), q.failures_unnotified.exchange(false)};
            if (!news.ready && !news.failures) return;
            sent[n++] = news;
            notify_of(news);
        });
    });
    for (const News &news : std::span(sent, ok ? 0 : static_cast<Size>(n))) {
        if (news.ready) map.queues[news.queue].unnotified.store(true);
        if (news.failures) map.queues[news.queue].failures_unnotified.store(true);
    }
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
