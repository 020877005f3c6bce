#include "dispatch/usage.hpp"

#include "dispatch/ended_leases.hpp"
#include "dispatch/priorities.hpp"
#include "memory/pool.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"
#include "stats/totals.hpp"

namespace pgqueue::dispatch {
namespace {

template <typename Entry>
int64 count_used(const Entry *entries, int32 n) {
    int64 used = 0;
    for (int32 i = 0; i < n; i++) used += entries[i].used;
    return used;
}

int64 count_waiters() {
    int64 used = 0;
    for (const TaskWaiter &w : map.shared->task_waiters) used += w.state.load() != WaitState::Free;
    return used;
}

int64 entries_of(const Slab &slab) {
    int64 n = 0;
    for (PageNo no = slab.first; no != 0; no = page(no)->next) n += page(no)->count;
    return n;
}

}  // namespace

Usage usage_of(Table kind) {
    const Shared &s = *map.shared;
    switch (kind) {
        case Table::Namespaces:
            return {"namespaces", count_used(map.namespaces, s.n_namespaces), s.n_namespaces,
                    "namespaces, those too that were deleted a moment ago"};
        case Table::Queues:
            return {"queues", count_used(map.queues, s.n_queues), s.n_queues,
                    "queues, those too that were deleted or purged a moment ago"};
        case Table::Roles:
            return {"roles", count_used(map.roles, s.n_roles), s.n_roles,
                    "roles with SQL tasks or handlers, in each database"};
        case Table::Lanes:
            return {"lanes", s.n_lanes - free_lanes(), s.n_lanes,
                    "lists of ready tasks: one for each role of a queue, and one for its outside workers"};
        case Table::Priorities:
            return {"priorities", s.n_priorities - free_priorities(), s.n_priorities,
                    "lists of a priority, or of several, in those"};
        case Table::Leases:
            return {"leases", s.n_leases - free_leases(), s.n_leases, "tasks in the hands of outside workers"};
        case Table::Waiters:
            return {"waiters", count_waiters(), max_task_waiters,
                    "sessions in wait_for_task; further ones look ten times a second"};
        case Table::Pages:
            return {"pages", int64(s.pages) - free_pages(), s.pages,
                    "pages of 4 kB with waiting tasks; middle pages of long lists go to a file when three quarters are "
                    "used"};
        case Table::Histograms:
            return {"histograms", s.times_pages.load(), stats::most_times_pages(),
                    "pages of those with histograms of times; without one the times of a queue are not counted"};
    }
    pg_unreachable();
}

NamespaceUsage usage_of_namespace(SlotNo no) {
    NamespaceUsage u{};
    const Namespace &ns = map.namespaces[no];
    u.queues = queue_share(no).used;
    u.leases = lease_share(ns).used;
    pg::LwLockGuard lock(namespace_lock(no), LW_SHARED);
    u.priorities = ns.lists;
    u.most_priorities = share_of_lists(ns);
    u.groups = entries_of(ns.groups);
    u.grouped = entries_of(ns.group_nodes);
    return u;
}

int64 repairs(SlotNo db) {
    int64 n = 0;
    for (Atomic<int64> &count : database(db).found.repaired) n += count.load();
    return n;
}

}  // namespace pgqueue::dispatch
