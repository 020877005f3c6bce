#include "dispatch/look.hpp"

#include "config/server_settings.hpp"
#include "dispatch/ended_leases.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/group_entries.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/pop.hpp"
#include "memory/pool.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

namespace {

// Returns when the bucket has its next token, as a time to be shown; 0: it has one.
TimestampTz next_token(const TokenBucket &bucket, double rate) {
    if (rate <= 0 || bucket.tokens >= 1) return 0;
    pg::Moment now = pg::this_moment();
    int64 next = bucket.next(rate);
    return next > now.monotonic ? now.to_wall(next) : 0;
}

}  // namespace

QueueLook inspect_queue(SlotNo no) {
    begin_use();
    const Queue &q = map.queues[no];
    const Namespace &ns = map.namespaces[q.ns];
    QueueLook look{};
    pg::LwLockGuard lock(namespace_lock(q.ns), LW_SHARED);
    for (SlotNo lane : lanes_of(q)) look.ready += map.lanes[lane].held ? 0 : map.lanes[lane].count;
    look.running = q.running.load();
    look.max_running = q.max_running;
    look.full = !has_room(q);
    look.next_token = next_token(q.bucket, q.rate_limit);
    look.ns_running = ns.running.load();
    look.ns_max_running = ns.max_running;
    look.ns_full = !has_room(ns);
    LeaseShare share = lease_share(ns);
    look.leases = share.used;
    look.lease_limit = share.limit();
    look.no_lease = share.room() == 0;
    return look;
}

WaitingLook look_at_waiting(SlotNo no) {
    begin_use();
    const Queue &q = map.queues[no];
    const Namespace &ns = map.namespaces[q.ns];
    WaitingLook look{};
    bool stopped = false;
    {
        pg::LwLockGuard lock(namespace_lock(q.ns), LW_SHARED);
        for (SlotNo lane : lanes_of(q)) {
            look.listed += map.lanes[lane].held ? 0 : map.lanes[lane].count;
            look.delayed += map.lanes[lane].due;
        }
        stopped = !may_run(q) || !has_room(q) || ns.paused || !has_room(ns);
    }
    // The counts of rows and of lists change at different moments. Entries of tasks that were cancelled, moved or
    // deleted stay in lists and heap for a while, and tasks that wait for others may be in the heap for their expiry.
    // So lists come first: what is ready is never shown as delayed.
    int64 waiting = q.counts[static_cast<int>(Status::New)].load() + q.counts[static_cast<int>(Status::Retry)].load();
    const int64 others = Max(q.counts[awaiting].load(), int64{0});
    waiting = Max(waiting, others);
    look.listed = Min(look.listed, waiting - others);
    look.delayed = Min(look.delayed, waiting - others - look.listed);
    look.ready = stopped ? 0 : look.listed;
    look.blocked = waiting - look.delayed - look.ready;
    return look;
}

GroupLook look_at_group(SlotNo no, uint64 key, int64 id) {
    const Queue &q = map.queues[no];
    GroupLook look{-1, 0, 0, q.group_max_running, 0};
    pg::LwLockGuard lock(namespace_lock(q.ns), LW_SHARED);
    GroupNo found = group_of_locked(no, key);
    if (found == 0) return look;
    const Group &g = group(found);
    look.running = g.running;
    look.next_token = next_token(g.bucket, q.group_rate_limit);
    int64 before = 0;
    for (int32 n = g.first; n != 0 && look.before < 0; n = slab_entry<GroupNode>(n)->next, before++) {
        const GroupNode &task = *slab_entry<GroupNode>(n);
        if (n == g.first) look.head = task.ref.id;
        if (task.ref.id == id || before == group_look_most) look.before = before;
    }
    return look;
}

RoleLook look_at_role(SlotNo no) {
    RoleLook look{map.roles[no].workers.load(), 0, ready_for_role(no), false};
    for (WorkerSlot &w : map.shared->workers)
        look.idle += w.role == no && w.db == map.roles[no].db && w.state.load() == WorkerState::Idle;
    look.full = config::max_workers_per_role > 0 && look.workers >= config::max_workers_per_role && look.idle == 0;
    return look;
}

namespace {

// Returns the lane of a queue behind this one; lane -1: the first one. -1: there are no more.
SlotNo next_lane(SlotNo queue, SlotNo lane) {
    return lane < 0 ? map.queues[queue].first_lane.load() : map.lanes[lane].next_of_queue.load();
}

// Copies entries of a chain to `refs`, as far as there is room.
void sample_chain(PageNo no, HeldLook *look) {
    for (; no != 0; no = page(no)->next)
        for (int i = page(no)->head; i < page(no)->count; i++) {
            if (look->n_refs == lengthof(look->refs)) return;
            look->refs[look->n_refs++] = ready_ref(*page(no), i);
        }
}

}  // namespace

bool look_at_held(SlotNo queue, SlotNo *lane, HeldLook *look) {
    begin_use();
    while ((*lane = next_lane(queue, *lane)) >= 0) {
        const Lane &l = map.lanes[*lane];
        if (!l.held) continue;
        pg::LwLockGuard lock(namespace_lock(map.queues[queue].ns), LW_SHARED);
        look->role = l.role;
        look->tasks = l.count;
        look->n_refs = 0;
        for (SlotNo p = l.first; p >= 0; p = map.priorities[p].next) sample_chain(map.priorities[p].list.front, look);
        if (l.count > 0) return true;
    }
    return false;
}

bool any_held(SlotNo db, bool *by_role) {
    begin_use();
    bool any = false;
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        if (!map.queues[q].used || map.queues[q].db != db) continue;
        for (SlotNo no : lanes_of(map.queues[q])) {
            const Lane &lane = map.lanes[no];
            if (!lane.held || lane.count == 0) continue;
            any = true;
            by_role[lane.role] = true;
        }
    }
    return any;
}

namespace {

// Calls F(const PriorityList &) for the lists of a queue that have tasks. The namespace lock is held.
template <typename F>
void each_used_list(SlotNo queue, F f) {
    for (SlotNo lane : lanes_of(map.queues[queue]))
        for (SlotNo p = map.lanes[lane].first; p >= 0; p = map.priorities[p].next)
            if (map.priorities[p].list.count > 0) f(map.priorities[p]);
}

}  // namespace

int64 priorities_in_use(SlotNo ns) {
    int64 n = 0;
    pg::LwLockGuard lock(namespace_lock(ns), LW_SHARED);
    each_queue(map.namespaces[ns].db, [&n, ns](SlotNo q) {
        if (map.queues[q].ns == ns) each_used_list(q, [&n](const PriorityList &) { n++; });
    });
    return n;
}

PrioritiesLook look_at_priorities(SlotNo queue, int32 priority) {
    SlotNo ns = map.queues[queue].ns;
    PrioritiesLook look{false, 0, free_priorities()};
    drain_inbox(ns);
    {
        pg::LwLockGuard lock(namespace_lock(ns), LW_SHARED);
        each_used_list(queue,
                       [&look, priority](const PriorityList &p) { look.has = look.has || p.range.has(priority); });
    }
    if (!look.has) look.used = priorities_in_use(ns);
    return look;
}

bool any_idle_worker() {
    for (WorkerSlot &w : map.shared->workers)
        if (w.state.load() == WorkerState::Idle) return true;
    return false;
}

}  // namespace pgqueue::dispatch
