#include "task/depth_limit.hpp"

#include "dispatch/look.hpp"
#include "handover/counts.hpp"
#include "pg/clock.hpp"
#include "store/queues.hpp"

namespace pgqueue::task {
namespace {

// Records for health since when tasks have been refused.
bool is_full(pg::Atomic<int64> *since, int64 depth, int64 max_depth) {
    const bool full = max_depth > 0 && depth > max_depth;
    if (full != (since->load() != 0)) since->store(full ? pg::monotonic_now() : 0);
    return full;
}

}  // namespace

Full no_room_for(const store::NamespaceInfo &ns, const QueueRef &queue, int64 more, int64 elsewhere) {
    const store::QueueInfo &q = *queue.info;
    const SlotNo slot = queue.slot;
    if (slot < 0 || (q.max_depth <= 0 && ns.max_depth <= 0)) return {};
    int64 depth = handover::unfinished(slot);
    if (is_full(&memory::map.queues[slot].full_since, depth + more, q.max_depth))
        return {"queue", q.name, depth, q.max_depth};
    if (ns.max_depth <= 0) return {};
    SlotNo ns_slot = memory::map.queues[slot].ns;
    depth = handover::unfinished_of_namespace(ns_slot);
    if (is_full(&memory::map.namespaces[ns_slot].full_since, depth + more + elsewhere, ns.max_depth))
        return {"namespace", ns.name, depth, ns.max_depth};
    return {};
}

}  // namespace pgqueue::task
