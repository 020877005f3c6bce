#include "api/seen_queues.hpp"

#include "api/call.hpp"
#include "dispatch/filing.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"

namespace pgqueue::api {
namespace {

using memory::SlotNo;

bool may_see(SlotNo ns) {
    return may(memory::map.namespaces[ns].ns_id, store::priv_manage | store::priv_read | store::priv_monitor);
}

// The extension's own queues have lower ids (sql/02_tables.sql).
constexpr int32 first_id_of_users = 100;

}  // namespace

std::span<const SeenQueue> seen_queues() {
    const SlotNo db = memory::loaded() ? memory::find_database(MyDatabaseId) : -1;
    if (db < 0) return {};
    memory::begin_use();
    auto *seen = static_cast<bool *>(palloc0(static_cast<Size>(memory::map.shared->n_namespaces)));
    memory::each_namespace(db, [seen](SlotNo ns) {
        seen[ns] = may_see(ns);
        // A flood is not filed to its end.
        if (seen[ns]) (void)dispatch::drain_some(ns);
    });
    auto *queues =
        static_cast<SeenQueue *>(palloc(sizeof(SeenQueue) * static_cast<Size>(memory::map.shared->n_queues)));
    std::size_t count = 0;
    memory::each_queue(db, [&](SlotNo no) {
        const memory::Queue &q = memory::map.queues[no];
        if (memory::is_dropped(q) || q.queue_id < first_id_of_users || !seen[q.ns]) return;
        const store::QueueInfo *info = store::queue_by_id(q.queue_id);
        const store::NamespaceInfo *ns = info != nullptr ? store::namespace_by_id(info->ns_id) : nullptr;
        if (ns == nullptr) return;
        // The names are copied, because the caches may forget them while the caller uses them.
        queues[count++] = {no, q.queue_id, pstrdup(ns->name), pstrdup(info->name), dispatch::look_at_waiting(no)};
    });
    pfree(seen);
    return {queues, count};
}

}  // namespace pgqueue::api
