#include "api/seen_queues.hpp"

#include "api/call.hpp"
#include "dispatch/filing.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "stats/totals.hpp"
#include "store/statistics.hpp"

namespace pgqueue::api {
namespace {

using memory::SlotNo;

bool may_see(int32 ns_id) { return may(ns_id, store::priv_manage | store::priv_read | store::priv_monitor); }

// Queues that are added one by one.
struct Seen {
    SeenQueue *queues;
    std::size_t count = 0, room;
    TimestampTz as_of;
    Seen(std::size_t n, TimestampTz at)
        : queues(static_cast<SeenQueue *>(palloc(sizeof(SeenQueue) * (n + 1)))), room(n + 1), as_of(at) {}

    // Adds a queue, unless it was deleted. The names are copied, because the caches may forget them while the caller
    // uses them.
    SeenQueue *add(SlotNo slot, int32 id) {
        const store::QueueInfo *info = store::queue_by_id(id);
        const store::NamespaceInfo *ns = info != nullptr ? store::namespace_by_id(info->ns_id) : nullptr;
        if (ns == nullptr) return nullptr;
        if (count == room) {
            room *= 2;
            queues = static_cast<SeenQueue *>(repalloc_huge(queues, sizeof(SeenQueue) * room));
        }
        SeenQueue *q = &queues[count++];
        *q = {slot, id, pstrdup(ns->name), pstrdup(info->name), {}, nullptr, as_of};
        if (slot >= 0) q->waiting = dispatch::look_at_waiting(slot);
        return q;
    }
};

void add_entries(SlotNo db, Seen *seen) {
    memory::begin_use();
    auto *visible = static_cast<bool *>(palloc0(static_cast<Size>(memory::map.shared->n_namespaces)));
    memory::each_namespace(db, [visible](SlotNo ns) {
        visible[ns] = may_see(memory::map.namespaces[ns].ns_id);
        // A flood is not filed to its end.
        if (visible[ns]) (void)dispatch::drain_some(ns);
    });
    memory::each_queue(db, [&](SlotNo no) {
        const memory::Queue &q = memory::map.queues[no];
        if (!memory::is_dropped(q) && q.queue_id >= memory::first_id_of_users && visible[q.ns])
            (void)seen->add(no, q.queue_id);
    });
    pfree(visible);
}

// Adds what was saved to the numbers of a queue that shared memory does not have yet. They may be added there
// meanwhile.
const Statistics *merged(SlotNo slot, const Statistics &saved) {
    auto *sum = static_cast<Statistics *>(palloc(sizeof(Statistics)));
    const pg::Atomic<memory::Saved> &state = memory::map.statistics[slot].saved;
    memory::Saved before;
    do {
        for (before = state.load(); before == memory::Saved::BeingAdded; before = state.load()) pg_usleep(100);
        pg_read_barrier();
        stats::copy(slot, sum);
        pg_read_barrier();
    } while (state.load() != before);
    if (before == memory::Saved::Added) return sum;
    for (int k = 0; k < total_kinds; k++) sum->totals[k] = histogram::sum_of(sum->totals[k], saved.totals[k]);
    for (int k = 0; k < cost_kinds; k++) sum->costs[k] = histogram::sum_of(sum->costs[k], saved.costs[k]);
    for (int k = 0; k < time_kinds; k++) histogram::merge(&sum->times[k], saved.times[k]);
    sum->since = saved.since;
    return sum;
}

// Returns whether shared memory has all numbers of these queues.
bool are_complete(std::span<const SeenQueue> queues) {
    for (const SeenQueue &q : queues)
        if (!stats::is_complete(q.slot)) return false;
    return !queues.empty();
}

// Adds what was saved to queues that shared memory does not have in full: before the scheduler has read it, and on a
// standby.
void add_saved(Seen *seen) {
    if (!RecoveryInProgress() && are_complete({seen->queues, seen->count})) return;
    const std::size_t known = seen->count;
    store::each_saved(nullptr, [&](const store::SavedStatistics &s) {
        std::size_t i = 0;
        while (i < known && seen->queues[i].id != s.queue_id) i++;
        if (i < known) {
            if (!stats::is_complete(seen->queues[i].slot)) seen->queues[i].copy = merged(seen->queues[i].slot, s.now);
            return;
        }
        const store::QueueInfo *info = store::queue_by_id(s.queue_id);
        SeenQueue *q = info != nullptr && may_see(info->ns_id) ? seen->add(-1, s.queue_id) : nullptr;
        if (q == nullptr) return;
        auto *copy = static_cast<Statistics *>(palloc(sizeof(Statistics)));
        *copy = s.now;
        q->copy = copy;
        if (RecoveryInProgress()) q->as_of = s.saved_at;
    });
}

}  // namespace

int64 SeenQueue::total(Total kind) const {
    return copy != nullptr ? copy->total(kind) : memory::map.statistics[slot].totals[static_cast<int>(kind)].load();
}

int64 SeenQueue::cost(RunCost kind) const {
    const int k = static_cast<int>(kind);
    return copy != nullptr ? copy->costs[k] : memory::map.statistics[slot].costs[k].load();
}

void SeenQueue::copy_times(Time kind, histogram::Times *times) const {
    if (copy != nullptr)
        *times = copy->times[static_cast<int>(kind)];
    else
        stats::copy_times(slot, kind, times);
}

TimestampTz SeenQueue::since() const {
    return copy != nullptr ? copy->since : memory::map.statistics[slot].since.load();
}

int64 SeenQueue::count(Status status) const {
    return slot >= 0 ? memory::map.queues[slot].counts[static_cast<int>(status)].load() : -1;
}

std::span<const SeenQueue> seen_queues() {
    if (!memory::loaded()) return {};
    Seen seen(static_cast<std::size_t>(memory::map.shared->used_queues), GetCurrentStatementStartTimestamp());
    if (const SlotNo db = memory::find_database(MyDatabaseId); db >= 0) add_entries(db, &seen);
    add_saved(&seen);
    return {seen.queues, seen.count};
}

}  // namespace pgqueue::api
