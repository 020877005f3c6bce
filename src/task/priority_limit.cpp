#include "task/priority_limit.hpp"

#include "dispatch/look.hpp"
#include "memory/full_table.hpp"
#include "pg/compat.hpp"
#include "task/share_used_up.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {
namespace {

struct Added {
    SlotNo queue;
    int32 priority;
};

// Priorities that only tasks of this transaction have, so that no list has them yet. Those that were rolled back stay
// until its end.
struct AddedHere {
    LocalTransactionId transaction;
    Added *items;
    int count, room;
};
constinit AddedHere added{};

bool is_added(SlotNo queue, int32 priority) {
    if (added.transaction != pg::my_lxid()) added = {pg::my_lxid(), nullptr, 0, 0};
    for (int i = added.count - 1; i >= 0; i--)
        if (added.items[i].queue == queue && added.items[i].priority == priority) return true;
    return false;
}

void add(SlotNo queue, int32 priority) {
    constexpr int first_room = 16;
    if (added.count == added.room) {
        int room = Max(first_room, added.room * 2);
        Size bytes = sizeof(Added) * static_cast<Size>(room);
        void *items =
            added.room == 0 ? MemoryContextAlloc(TopTransactionContext, bytes) : repalloc_huge(added.items, bytes);
        added.items = static_cast<Added *>(items);
        added.room = room;
    }
    added.items[added.count++] = {queue, priority};
}

}  // namespace

void check_priority(const store::NamespaceInfo &ns, const QueueRef &queue, int32 priority) {
    const SlotNo slot = queue.slot;
    if (slot < 0 || ns.shares.priorities == 0 || is_added(slot, priority)) return;
    // Empty lists of the namespace become free when somebody waits for a place.
    for (int tries = 0;;) {
        const dispatch::PrioritiesLook look = dispatch::look_at_priorities(slot, priority);
        if (look.has) return;
        const int64 used = look.used + added.count;
        if (used < share_limit(ns.shares.priorities, used, look.free)) break;
        if (!memory::wait_for_place(&tries, memory::most_tries_in_part))
            share_used_up(ns, {"priorities", "max_priorities", ns.shares.priorities, used, look.free,
                               "Let tasks of other priorities end first."});
    }
    add(slot, priority);
}

}  // namespace pgqueue::task
