#include "worker/news.hpp"

#include "config/server_settings.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"

namespace pgqueue::worker {
namespace {

using memory::map;
using memory::SlotNo;

void notify_of(const QueueNews &news) {
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

}  // namespace

News room_for_news(MemoryContext context) {
    const Size bytes = sizeof(QueueNews) * static_cast<Size>(map.shared->n_queues);
    return {static_cast<QueueNews *>(MemoryContextAlloc(context, bytes)), 0};
}

bool has_news(SlotNo db) {
    const memory::Waiters &w = memory::database(db).waiters;
    return config::notify_interval >= 0 && w.listened.load() && w.unnotified.load();
}

void send_news(SlotNo db, News *news) {
    memory::database(db).waiters.unnotified.store(false);
    pg_memory_barrier();
    memory::each_queue(db, [news](SlotNo no) {
        memory::Queue &q = map.queues[no];
        const QueueNews one{no, q.unnotified.exchange(false), q.failures_unnotified.exchange(false)};
        if (!one.ready && !one.failures) return;
        news->queues[news->count++] = one;
        notify_of(one);
    });
}

void give_back_news(SlotNo db, News *news) {
    for (; news->count > 0; news->count--) {
        const QueueNews &one = news->queues[news->count - 1];
        if (one.ready) map.queues[one.queue].unnotified.store(true);
        if (one.failures) map.queues[one.queue].failures_unnotified.store(true);
    }
    memory::database(db).waiters.unnotified.store(true);
}

}  // namespace pgqueue::worker
