#include "dispatch/group_sets.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/group_entries.hpp"
#include "dispatch/groups.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

void open_groups(SlotNo db, const int64 *least) {
    each_namespace(db, [least](SlotNo no) {
        Namespace &ns = map.namespaces[no];
        pg::LwLockGuard lock(namespace_lock(no));
        drain_groups_locked(no);
        int64 first = Min(least[no], ns.groups_missed);
        ns.groups_upto = first == INT64_MAX ? first : first - 1;
        each_entry<Group>(ns.groups, [](GroupNo group, Group &) { update_readiness(group, true); });
    });
}

void leave_out_all(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(namespace_lock(no));
    ns.groups_upto = 0;
    ns.groups_missed = INT64_MAX;
    ns.groups_short = ns.groups_blocked = false;
    each_entry<Group>(ns.groups, [](GroupNo group, Group &) { clear_group(group); });
}

void clear_groups(SlotNo db) { each_namespace(db, leave_out_all); }

void clear_groups_of_dropped_locked(SlotNo ns, uint64 until) {
    each_entry<Group>(map.namespaces[ns].groups, [until](GroupNo no, Group &g) {
        if (is_put_down(map.queues[g.queue], until)) clear_group(no);
    });
}

void settle_groups_locked(SlotNo queue) {
    each_entry<Group>(map.namespaces[map.queues[queue].ns].groups, [queue](GroupNo no, Group &g) {
        if (g.queue == queue) update_readiness(no, true);
    });
}

pg::Deadline end_group_throttles(SlotNo queue, const pg::Moment &now) {
    constexpr int at_once = 256;
    Queue &q = map.queues[queue];
    auto any = [&] { return q.group_token_at != 0 && q.group_token_at <= now.monotonic; };
    while (any()) {
        pg::LwLockGuard lock(namespace_lock(q.ns));
        for (int i = 0; i < at_once && any(); i++) update_readiness(throttled_of(queue).best(), true);
    }
    return q.group_token_at != 0 ? pg::Deadline{q.group_token_at} : never;
}

pg::Deadline sweep_groups(SlotNo db, const pg::Moment &now) {
    constexpr int64 every = 10 * int64(USECS_PER_SEC);
    static constinit pg::Deadline next{};
    bool any = false;
    each_namespace(db, [&any](SlotNo ns) { any = any || map.namespaces[ns].idle_groups; });
    if (!any) return never;
    if (!next.passed(now)) return next;
    next = now.in(every);
    each_namespace(db, [](SlotNo ns) {
        if (!map.namespaces[ns].idle_groups) return;
        pg::LwLockGuard lock(namespace_lock(ns));
        map.namespaces[ns].idle_groups = false;
        each_entry<Group>(map.namespaces[ns].groups, [](GroupNo no, Group &) { free_when_empty(no); });
    });
    return next;
}

int expired_in_groups_locked(SlotNo ns, TimestampTz now, TaskRef *out, int most, int64 *least) {
    int n = 0;
    for (PageNo no = map.namespaces[ns].group_nodes.first; no != 0; no = page(no)->next) {
        Page *p = page(no);
        if (p->min_dies <= now && n + p->count <= most) {
            p->min_dies = INT64_MAX;
            for (int32 i = 0; i < p->priority; i++) {
                GroupNode *g = reinterpret_cast<GroupNode *>(p->slab) + i;
                if (!g->used() || g->dies == 0) continue;
                if (g->dies > now) {
                    p->min_dies = Min(p->min_dies, g->dies);
                    continue;
                }
                out[n++] = g->ref;
                g->dies = 0;  // its row is read now, and again when it is the head
            }
        }
        *least = Min(*least, p->min_dies);
    }
    return n;
}

}  // namespace pgqueue::dispatch
