#include "dispatch/groups.hpp"

#include "dispatch/due.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/group_entries.hpp"
#include "dispatch/group_filing.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/ready_ttl.hpp"
#include "dispatch/waiters.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

OrderOps<Groups> order_of(SlotNo lane) { return {&map.lanes[lane].groups, Groups{}}; }

// Fills the token bucket of a group up to now. Returns its tokens.
double tokens(Group *g, const Queue &q) {
    return g->bucket.fill(q.group_rate_limit, q.rate_burst, pg::monotonic_now());
}

// Says whether a group can start its head now.
struct Start {
    SlotNo lane;     // the lane of the head, -1: it cannot start
    int64 token_at;  // when the group gets a token, 0: it waits for something else
};

Start start_of(Group *g) {
    const Queue &q = map.queues[g->queue];
    while (g->first != 0 && g->running < q.group_max_running && state_of(q.db) != DbState::Loading) {
        const GroupNode &head = node(g->first);
        if (head.since != 0 && head.since > pg::monotonic_now()) {
            // Does nothing if the head got a timer with its hint. Otherwise the row says for how long the head waits.
            set_timer(g, 0, Wait::Look);
            if (!q.group_pass) return {-1, 0};
            // The policy is pass now, so the head waits outside its group.
            drop_head(g);
            continue;
        }
        if (q.group_rate_limit > 0 && tokens(g, q) < 1) return {-1, g->bucket.next(q.group_rate_limit)};
        return {head.lane, 0};
    }
    return {-1, 0};
}

// Records when the first of the groups that wait for a token gets one, for readers without the lock.
void note_next_token(SlotNo queue) {
    GroupNo first = throttled_of(queue).best();
    map.queues[queue].group_token_at = first != 0 ? group(first).rank : 0;
}

// Makes a group wait for a token. The scheduler updates the group at that time.
void throttle(GroupNo no, int64 token_at) {
    Group &g = group(no);
    g.rank = token_at;
    g.head_id = node(g.first).ref.id;
    g.throttled = true;
    throttled_of(g.queue).add(no);
    note_next_token(g.queue);
    wake_scheduler_by(map.queues[g.queue].db, {token_at});
}

// Wakes a worker or a session for a group that became ready without a commit that wakes one.
void wake_for(SlotNo lane) {
    const Lane &l = map.lanes[lane];
    SlotNo db = map.queues[l.queue].db;
    if (l.role >= 0) {
        if (wake_idle_workers(db, l.role, 1) == 0) wake_scheduler_if_sleeping(db);
        return;
    }
    wake_task_waiters(l.queue, 1);
    if (database(db).waiters.listened.load()) wake_scheduler_if_sleeping(db);
}

}  // namespace

void make_unready(GroupNo no) {
    Group &g = group(no);
    if (g.throttled) {
        throttled_of(g.queue).remove(no);
        g.throttled = false;
        note_next_token(g.queue);
    }
    SlotNo lane = g.ready_in;
    if (lane < 0) return;
    order_of(lane).remove(no);
    g.ready_in = -1;
    change_count_locked(lane, -1);
}

void free_when_empty(GroupNo no) {
    Group &g = group(no);
    const Queue &q = map.queues[g.queue];
    if (g.first != 0 || g.running > 0) return;
    if (q.group_rate_limit > 0 && !is_dropped(q) && tokens(&g, q) < q.rate_burst)
        namespace_of(g).idle_groups = true;
    else
        free_group(no);
}

namespace {

// Returns the priority of the head. With aging, returns the time since which a task of priority 0 would have to wait to
// be as good. A task that was filed before aging was set waits from now on.
int64 rank_of(const Queue &q, GroupNode *head) {
    if (q.aging <= 0) return head->priority;
    if (head->since == 0) head->since = pg::monotonic_now();
    return head->priority * q.aging + head->since;
}

}  // namespace

void update_readiness(GroupNo no, bool wake) {
    Group &g = group(no);
    auto [lane, token_at] = start_of(&g);
    int64 rank = lane < 0 ? 0 : rank_of(map.queues[g.queue], &node(g.first));
    if (lane >= 0 && g.ready_in == lane && g.head_id == node(g.first).ref.id && g.rank == rank) return;
    make_unready(no);
    if (token_at != 0) throttle(no, token_at);
    if (lane < 0) {
        free_when_empty(no);
        return;
    }
    g.rank = rank;
    g.head_id = node(g.first).ref.id;
    g.ready_in = lane;
    order_of(lane).add(no);
    change_count_locked(lane, 1);
    if (wake) wake_for(lane);
}

void clear_group(GroupNo no) {
    Group &g = group(no);
    make_unready(no);
    while (g.first != 0) drop_head(&g);
    if (g.running == 0) free_group(no);
}

GroupNo best_group_locked(SlotNo lane) {
    // While the rows are read again, tasks that belong before a head may be missing.
    return state_of(map.queues[map.lanes[lane].queue].db) == DbState::Loading ? 0 : order_of(lane).best();
}

GroupTask take_head_locked(GroupNo no, bool run) {
    Group &g = group(no);
    GroupTask task{node(g.first).ref, node(g.first).priority};
    make_unready(no);
    drop_head(&g);
    if (run) {
        g.running++;
        if (map.queues[g.queue].group_rate_limit > 0) g.bucket.tokens -= 1;
    }
    update_readiness(no, false);
    return task;
}

namespace {

void end_one_locked(SlotNo queue, GroupNo no, bool unused) {
    Group &g = group(no);
    g.running--;
    if (unused && map.queues[queue].group_rate_limit > 0) g.bucket.give_back(map.queues[queue].rate_burst);
    update_readiness(no, true);
}

}  // namespace

void end_group(SlotNo queue, GroupNo no, bool unused) {
    SlotNo ns = map.queues[queue].ns;
    pg::LwLockGuard lock(namespace_lock(ns));
    drain_groups_locked(ns);
    end_one_locked(queue, no, unused);
}

void forget_running_locked(SlotNo queue) {
    each_entry<Group>(map.namespaces[map.queues[queue].ns].groups, [queue](GroupNo no, Group &g) {
        if (g.queue != queue || g.running == 0) return;
        g.running = 0;
        update_readiness(no, true);
    });
}

void end_groups(std::span<const LimitPlace> places) {
    for (std::size_t i = 0; i < places.size();) {
        if (places[i].group == 0) {
            i++;
            continue;
        }
        SlotNo ns = map.queues[places[i].queue].ns;
        pg::LwLockGuard lock(namespace_lock(ns));
        drain_groups_locked(ns);
        for (; i < places.size() && map.queues[places[i].queue].ns == ns; i++)
            if (places[i].group != 0) end_one_locked(places[i].queue, places[i].group, false);
    }
}

void leave_group(SlotNo queue, uint64 key, int64 id) {
    SlotNo ns = map.queues[queue].ns;
    pg::LwLockGuard lock(namespace_lock(ns));
    drain_groups_locked(ns);
    auto leave = [id](GroupNo no) {
        Group &g = group(no);
        if (g.first == 0 || node(g.first).ref.id != id) return;
        make_unready(no);
        drop_head(&g);
        update_readiness(no, true);
    };
    if (key != 0) {
        GroupNo no = group_of_locked(queue, key);
        if (no != 0) leave(no);
        return;
    }
    each_entry<Group>(map.namespaces[ns].groups, [&](GroupNo no, Group &g) {
        if (g.queue == queue) leave(no);
    });
}

GroupNo hold_in_group(SlotNo queue, uint64 key) {
    const Queue &q = map.queues[queue];
    pg::LwLockGuard lock(namespace_lock(q.ns));
    GroupNo no = group_of_locked(queue, key);
    if (no == 0) no = make_group(queue, key, true);
    if (no != 0)
        group(no).running++;
    else
        database(q.db).reading.lost.store(Lost::Full);
    return no;
}

}  // namespace pgqueue::dispatch
