#include "dispatch/group_entries.hpp"

#include "dispatch/due.hpp"
#include "dispatch/expiry.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/outside.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

OrderOps<Groups> order_of(SlotNo lane) { return {&map.lanes[lane].groups, Groups{}}; }

// Pages of the pool that groups leave to the rest.
uint32 spare_pages() { return map.shared->pages / 8; }

void tear(SlotNo db) { pg_atomic_write_u32(&database(db).groups_torn, 1); }
bool is_torn(SlotNo db) { return pg_atomic_read_u32(&database(db).groups_torn) != 0; }

int part_of(uint64 key) { return static_cast<int>(key % group_locks); }
GroupNo *chain_of(uint64 key) {
    uint64 chains = static_cast<uint64>(map.group_hash_size / group_locks);
    return &map.group_hash[(key / group_locks) % chains * group_locks + static_cast<uint64>(part_of(key))];
}

GroupNo find_group(SlotNo queue, uint64 key) {
    pg::LwLockGuard lock(group_lock(part_of(key)), LW_SHARED);
    for (GroupNo no = *chain_of(key); no != 0; no = group(no).next)
        if (group(no).key == key && group(no).queue == queue) return no;
    return 0;
}

// 0: no memory.
GroupNo make_group(SlotNo queue, uint64 key) {
    const Queue &q = map.queues[queue];
    GroupNo no = take_entry<Group>(&map.namespaces[q.ns].groups, spare_pages());
    if (no == 0) return 0;
    Group &g = group(no);
    g.queue = queue;
    g.ready_in = -1;
    g.bucket = {static_cast<double>(q.burst), q.group_rate > 0 ? pg::monotonic_now() : 0};
    pg::LwLockGuard lock(group_lock(part_of(key)));
    g.key = key;
    g.next = *chain_of(key);
    *chain_of(key) = no;
    return no;
}

void free_group(GroupNo no) {
    Group &g = group(no);
    Slab *slab = &namespace_of(g).groups;
    {
        pg::LwLockGuard lock(group_lock(part_of(g.key)));
        GroupNo *link = chain_of(g.key);
        while (*link != no) link = &group(*link).next;
        *link = g.next;
        g.key = 0;
    }
    give_entry<Group>(slab, no);
}

// Fills the bucket of a group up to now.
double tokens(Group *g, const Queue &q) { return g->bucket.fill(q.group_rate, q.burst, pg::monotonic_now()); }

// Has the scheduler look at a task of a group at a time of the calendar, or after a wait. False: no memory.
bool look_at(SlotNo queue, const DueEntry &entry, Wait wait) {
    SlotNo db = map.queues[queue].db;
    bool ok = wait != Wait::None ? put_off(db, wait, entry) : add_due(db, entry);
    if (wait == Wait::None) wake_scheduler_at(db, entry.due);
    return ok;
}

// Has the scheduler look at the head when it may start, at `due` or after a wait; no entry is made twice for one head.
void set_timer(Group *g, TimestampTz due, Wait wait) {
    if (g->timed) return;
    g->timed = true;
    const GroupNode &head = node(g->first);
    DueEntry entry{due, head.dies, head.ref, grouped_due(g->queue), head.priority};
    if (!look_at(g->queue, entry, wait)) pg_atomic_write_u32(&database(map.queues[g->queue].db).lost, 1);
}

void drop_head(Group *g) {
    int32 no = g->first;
    GroupNode &n = node(no);
    g->first = n.next;
    if (g->first == 0) g->last = 0;
    g->timed = false;
    n.ref.id = 0;
    map.lanes[n.lane].grouped--;
    give_entry<GroupNode>(&namespace_of(*g).group_nodes, no);
}

// Whether a group could start its head now.
struct Start {
    SlotNo lane;     // in which, -1: it could not
    int64 token_at;  // then it has a token, 0: it waits for something else
};

Start start_of(Group *g) {
    const Queue &q = map.queues[g->queue];
    while (g->first != 0 && g->running < q.group_max_running && state_of(q.db) != DbState::Loading) {
        const GroupNode &head = node(g->first);
        if (head.since != 0 && head.since > pg::monotonic_now()) {
            // Unless that was done when it came to the head with its hint: the row says for how long.
            set_timer(g, 0, Wait::Look);
            if (!q.group_pass) return {-1, 0};
            // Its policy has changed.
            drop_head(g);
            continue;
        }
        if (q.group_rate > 0 && tokens(g, q) < 1) return {-1, g->bucket.next(q.group_rate)};
        return {head.lane, 0};
    }
    return {-1, 0};
}

// When the first of the groups that wait for a token has one; for those who look without the lock.
void note_next_token(SlotNo queue) {
    GroupNo first = throttled_of(queue).best();
    map.queues[queue].group_token_at = first != 0 ? group(first).rank : 0;
}

// The group waits for a token; the scheduler looks then.
void throttle(GroupNo no, int64 token_at) {
    Group &g = group(no);
    g.rank = token_at;
    g.head_id = node(g.first).ref.id;
    g.throttled = true;
    throttled_of(g.queue).add(no);
    note_next_token(g.queue);
    wake_scheduler_by(map.queues[g.queue].db, {token_at});
}

// Somebody for a group that became ready without a commit of its own.
void wake_for(SlotNo lane) {
    const Lane &l = map.lanes[lane];
    SlotNo db = map.queues[l.queue].db;
    if (l.role >= 0) {
        if (wake_idle_workers(db, l.role, 1) == 0) wake_scheduler_if_sleeping(db);
        return;
    }
    wake_task_waiters(l.queue, 1);
    if (pg_atomic_read_u32(&database(db).listened) != 0) wake_scheduler_if_sleeping(db);
}

// Takes a group out of the order that it is in.
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

}  // namespace

void free_when_empty(GroupNo no) {
    Group &g = group(no);
    const Queue &q = map.queues[g.queue];
    if (g.first != 0 || g.running > 0) return;
    if (q.group_rate > 0 && !is_dropped(q) && tokens(&g, q) < q.burst)
        namespace_of(g).idle_groups = true;
    else
        free_group(no);
}

namespace {

// With aging the time since when priority 0 would have to wait to be as good. What is older than the setting waits from
// now on.
int64 rank_of(const Queue &q, GroupNode *head) {
    if (q.aging <= 0) return head->priority;
    if (head->since == 0) head->since = pg::monotonic_now();
    return head->priority * q.aging + head->since;
}

}  // namespace

void settle_group(GroupNo no, bool wake) {
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

namespace {

int64 since_of(const Hint &h, const Queue &q) {
    if (h.wait != Wait::None) return pg::monotonic_now() + length_of(h.wait);
    if (h.due != 0) return pg::this_moment().to_monotonic(h.due);
    return q.aging > 0 ? pg::monotonic_now() : 0;
}

// What a hint says of a task that waits in its group.
void fill(int32 no, const Hint &h, const Queue &q) {
    GroupNode *n = &node(no);
    n->ref = h.ref;
    n->dies = h.dies;
    map.lanes[h.lane].grouped++;
    n->lane = h.lane;
    n->priority = h.priority;
    n->since = since_of(h, q);
    if (h.dies == 0) return;
    Page *p = slab_page<GroupNode>(no);
    p->min_dies = Min(p->min_dies, h.dies);
    note_dies(q.db, h.dies);
}

// Puts a node into its group: behind the others, or, when it was taken before, in front of those that never were; by_id: in the order of ids.
void link_node(Group *g, int32 no, bool by_id) {
    GroupNode &n = node(no);
    int32 *link = &g->first;
    if (g->last != 0 && (by_id ? node(g->last).ref.id < n.ref.id : !n.again))
        link = &node(g->last).next;
    else
        while (*link != 0 && (by_id || (n.again && node(*link).again)) && node(*link).ref.id < n.ref.id) link = &node(*link).next;
    n.next = *link;
    *link = no;
    if (n.next == 0) g->last = no;
}

// The head has come with this hint. While the rows are read another one may still come before it.
void settle_new_head(GroupNo no, const Hint &h, bool wake) {
    Group &g = group(no);
    g.timed = false;
    bool waits = h.due != 0 || h.wait != Wait::None;
    if (waits && state_of(map.queues[g.queue].db) != DbState::Loading) set_timer(&g, h.due, h.wait);
    settle_group(no, wake);
}

// The head of the group is this task: it is as the hint says by now.
bool refresh_head(GroupNo no, const Hint &h, bool wake) {
    Group &g = group(no);
    if (g.first == 0 || node(g.first).ref.id != h.ref.id) return false;
    make_unready(no);
    map.lanes[node(g.first).lane].grouped--;
    fill(g.first, h, map.queues[g.queue]);
    settle_new_head(no, h, wake);
    return true;
}

// Whether a task waits outside its group: with policy pass others go on meanwhile.
bool waits_outside(const Hint &h, const Queue &q) {
    return q.group_pass && (h.wait != Wait::None || (h.due != 0 && h.due > GetCurrentTimestamp()));
}

bool put_into_group(const Hint &h, const Queue &q, SlotNo queue, bool wake) {
    GroupNo no = find_group(queue, h.group);
    if (no != 0 && refresh_head(no, h, wake)) return true;
    // It keeps its place; only a new end of its time has to be known.
    if (h.comes == Comes::Changed && !q.group_pass)
        return h.dies == 0 || look_at(queue, {h.dies, h.dies, h.ref, grouped_due(queue), h.priority}, Wait::None);
    if (h.comes == Comes::New && is_torn(q.db)) return true;
    if (waits_outside(h, q)) return look_at(queue, {h.due, h.dies, h.ref, grouped_due(queue), h.priority}, h.wait);
    if (no == 0) no = make_group(queue, h.group);
    int32 made = no != 0 ? take_entry<GroupNode>(&map.namespaces[q.ns].group_nodes, spare_pages()) : 0;
    if (made == 0) {
        if (no != 0) free_when_empty(no);
        return false;
    }
    Group &g = group(no);
    GroupNode &n = node(made);
    fill(made, h, q);
    n.again = h.comes == Comes::Again;
    link_node(&g, made, state_of(q.db) == DbState::Loading && h.comes == Comes::New);
    if (g.first == made) settle_new_head(no, h, wake);
    return true;
}

}  // namespace

void file_in_group(const Hint &h, bool wake) {
    SlotNo queue = map.lanes[h.lane].queue;
    const Queue &q = map.queues[queue];
    if (is_dropped(q)) return;
    if (!put_into_group(h, q, queue, wake)) tear(q.db);
}

void file_grouped_locked(const Hint &hint) { file_in_group(hint, false); }

void file_grouped(const Hint &hint) {
    SlotNo ns = map.queues[map.lanes[hint.lane].queue].ns;
    pg::LwLockGuard lock(namespace_lock(ns));
    // What was handed over before comes before it, but for one that was taken before them.
    if (hint.comes != Comes::Again) drain_inbox_locked(ns);
    file_in_group(hint, true);
}

GroupNo group_of_locked(SlotNo queue, uint64 key) { return find_group(queue, key); }

GroupNo best_group_locked(SlotNo lane) {
    // While the rows are read again nobody knows what stands before a head.
    return state_of(map.queues[map.lanes[lane].queue].db) == DbState::Loading ? 0 : order_of(lane).best();
}

GroupTask take_head_locked(GroupNo no, bool run) {
    Group &g = group(no);
    GroupTask task{node(g.first).ref, node(g.first).priority};
    make_unready(no);
    drop_head(&g);
    if (run) {
        g.running++;
        if (map.queues[g.queue].group_rate > 0) g.bucket.tokens -= 1;
    }
    settle_group(no, false);
    return task;
}

namespace {

void end_one_locked(SlotNo queue, GroupNo no, bool unused) {
    Group &g = group(no);
    g.running--;
    if (unused && map.queues[queue].group_rate > 0) g.bucket.give_back(map.queues[queue].burst);
    settle_group(no, true);
    if (may_read_groups_again(map.queues[queue].db)) wake_scheduler(map.queues[queue].db);
}

}  // namespace

void end_group(SlotNo queue, GroupNo no, bool unused) {
    SlotNo ns = map.queues[queue].ns;
    pg::LwLockGuard lock(namespace_lock(ns));
    drain_inbox_locked(ns);
    end_one_locked(queue, no, unused);
}

void forget_running_locked(SlotNo queue) {
    each_entry<Group>(map.namespaces[map.queues[queue].ns].groups, [queue](GroupNo no, Group &g) {
        if (g.queue != queue || g.running == 0) return;
        g.running = 0;
        settle_group(no, true);
    });
}

void end_groups(std::span<const Place> places) {
    for (std::size_t i = 0; i < places.size();) {
        if (places[i].group == 0) {
            i++;
            continue;
        }
        SlotNo ns = map.queues[places[i].queue].ns;
        pg::LwLockGuard lock(namespace_lock(ns));
        drain_inbox_locked(ns);
        for (; i < places.size() && map.queues[places[i].queue].ns == ns; i++)
            if (places[i].group != 0) end_one_locked(places[i].queue, places[i].group, false);
    }
}

void leave_group(SlotNo queue, uint64 key, int64 id) {
    SlotNo ns = map.queues[queue].ns;
    pg::LwLockGuard lock(namespace_lock(ns));
    drain_inbox_locked(ns);
    auto leave = [id](GroupNo no) {
        Group &g = group(no);
        if (g.first == 0 || node(g.first).ref.id != id) return;
        make_unready(no);
        drop_head(&g);
        settle_group(no, true);
    };
    if (key != 0) {
        GroupNo no = find_group(queue, key);
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
    GroupNo no = find_group(queue, key);
    if (no == 0) no = make_group(queue, key);
    if (no == 0)
        tear(q.db);
    else
        group(no).running++;
    return no;
}

}  // namespace pgqueue::dispatch
