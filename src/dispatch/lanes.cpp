#include "dispatch/lanes.hpp"

#include "dispatch/due.hpp"
#include "dispatch/group_filing.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/priorities.hpp"
#include "dispatch/ready_ttl.hpp"
#include "dispatch/spill.hpp"
#include "dispatch/waiters.hpp"
#include "memory/users.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

void activate_locked(SlotNo no) {
    Lane &lane = map.lanes[no];
    if (lane.active) return;
    Source &source = map.sources[lane.source];
    Namespace &ns = map.namespaces[source.ns];
    if (source.ready.load() == 0)
        ns.virtual_time = rejoined_virtual_time(ns.virtual_time, database(ns.db).ready.virtual_time);
    lane.prev_active = -1;
    lane.next_active = source.first_active;
    if (source.first_active >= 0) map.lanes[source.first_active].prev_active = no;
    source.first_active = no;
    lane.active = true;
    source.ready.fetch_add(lane.count);
}

void deactivate_locked(SlotNo no) {
    Lane &lane = map.lanes[no];
    if (!lane.active) return;
    Source &source = map.sources[lane.source];
    if (lane.prev_active >= 0)
        map.lanes[lane.prev_active].next_active = lane.next_active;
    else
        source.first_active = lane.next_active;
    if (lane.next_active >= 0) map.lanes[lane.next_active].prev_active = lane.prev_active;
    lane.next_active = lane.prev_active = -1;
    lane.active = false;
    source.ready.fetch_sub(lane.count);
}

void change_count_locked(SlotNo no, int64 by) {
    Lane &lane = map.lanes[no];
    Queue &q = map.queues[lane.queue];
    lane.count += by;
    q.hinted.fetch_add(by);
    if (lane.active) map.sources[lane.source].ready.fetch_add(by);
    if (lane.count > 0 && !lane.active && !lane.held && may_run(q)) activate_locked(no);
    if (by > 0 && lane.role < 0 && !q.unnotified.load()) {
        q.unnotified.store(true);
        database(q.db).waiters.unnotified.store(true);
    }
    if (lane.count == 0) deactivate_locked(no);
}

void empty_lists_locked(const Queue &q) {
    for (SlotNo no : lanes_of(q)) {
        for (SlotNo p = map.lanes[no].first; p >= 0; p = map.priorities[p].next) {
            change_count_locked(no, -map.priorities[p].list.count);
            give_file_places(q.db, &map.priorities[p].list);
        }
        free_lists_locked(no);
    }
}

namespace {

void lose(SlotNo db) { database(db).reading.lost.store(Lost::Full); }

// Files one page of ready tasks that a transaction handed over.
void take_over_ready(SlotNo db, PageNo no) {
    Page *p = page(no);
    SlotNo lane = p->lane;
    if (is_dropped(map.queues[map.lanes[lane].queue])) {
        give_page(no);
        return;
    }
    if (p->min_dies != INT64_MAX) lower_min_dies(db, p->min_dies);
    int n = p->count - p->head, filed = push_page_locked(lane, no);
    if (filed < n) lose(db);
    if (filed > 0) change_count_locked(lane, filed);
}

void take_over_due(SlotNo db, PageNo no) {
    Page *p = page(no);
    for (int i = p->head; i < p->count; i++)
        if (!add_due(db, p->due[i])) lose(db);
    give_page(no);
}

void take_over_grouped(PageNo no) {
    Page *p = page(no);
    for (int i = p->head; i < p->count; i++) file_grouped_locked(p->hints[i]);
    give_page(no);
}

}  // namespace

namespace {

// Appends the pages of the inbox, oldest first, to the pages that are not filed yet.
void take_inbox(Namespace *ns) {
    if (ns->inbox.load() == 0) return;
    PageNo newest = ns->inbox.exchange(0), last = newest, oldest = 0;
    while (newest != 0) {
        PageNo next = page(newest)->next;
        page(newest)->next = oldest;
        oldest = newest;
        newest = next;
    }
    (ns->handed_last != 0 ? page(ns->handed_last)->next : ns->handed) = oldest;
    ns->handed_last = last;
}

// Files pages, oldest first, until about `steps` steps are taken. A page of one priority counts as one step, because it
// mostly takes one. Any other page counts as one step for each task.
void take_over(SlotNo no, int64 steps) {
    Namespace &ns = map.namespaces[no];
    while (ns.handed != 0 && steps > 0) {
        PageNo first = ns.handed;
        Page *p = page(first);
        ns.handed = p->next;
        if (ns.handed == 0) ns.handed_last = 0;
        steps -= p->kind == PageKind::Ready ? 1 : p->count - p->head;
        switch (p->kind) {
            case PageKind::Ready:
            case PageKind::Mixed: take_over_ready(ns.db, first); break;
            case PageKind::Grouped: take_over_grouped(first); break;
            default: take_over_due(ns.db, first);
        }
    }
}

}  // namespace

void drain_inbox_locked(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    take_inbox(&ns);
    take_over(no, INT64_MAX);
}

bool has_handed_over(SlotNo no) { return map.namespaces[no].inbox.load() != 0 || map.namespaces[no].handed != 0; }

bool drain_some(SlotNo no) {
    constexpr int64 steps = 4096;
    Namespace &ns = map.namespaces[no];
    if (!has_handed_over(no)) return true;
    pg::LwLockGuard lock(namespace_lock(no));
    take_inbox(&ns);
    take_over(no, steps);
    return ns.handed == 0;
}

void drain_inbox(SlotNo ns) {
    while (!drain_some(ns)) {
    }
}

bool drain_inboxes(SlotNo db) {
    constexpr int most_rounds = 4;
    bool all = false;
    for (int round = 0; round < most_rounds && !all; round++) {
        all = true;
        each_namespace(db, [&all](SlotNo ns) { all = drain_some(ns) && all; });
    }
    return all;
}

void drain_for_role(SlotNo role) {
    bool began = begin_use();
    for (SlotNo no = first_source_of(role); no >= 0; no = map.sources[no].next_of_role)
        if (SlotNo ns = map.sources[no].ns; ns >= 0) drain_inbox(ns);
    if (began) end_use();
}

void forget_handed_over(SlotNo no) {
    give_chain(map.namespaces[no].inbox.exchange(0));
    pg::LwLockGuard lock(namespace_lock(no));
    give_chain(map.namespaces[no].handed);
    map.namespaces[no].handed = map.namespaces[no].handed_last = 0;
}

int take_lists_apart(SlotNo db) {
    constexpr int most = 64;
    if (!database(db).ready.taken_apart.exchange(false)) return 0;
    int steps = 0;
    bool all = true;
    each_queue(db, [&steps, &all](SlotNo q) {
        for (SlotNo lane : lanes_of(map.queues[q])) {
            Front f = map.lanes[lane].taken_apart ? Front::Tasks : Front::None;
            while (f == Front::Tasks && steps < most) {
                pg::LwLockGuard lock(namespace_lock(map.queues[q].ns));
                f = take_apart_locked(lane);
                steps += f == Front::Tasks ? 1 : 0;
            }
            all = all && f == Front::None;
        }
    });
    if (!all) database(db).ready.taken_apart.store(true);
    return steps;
}

SlotNo outside_lane(SlotNo queue) {
    for (SlotNo lane : lanes_of(map.queues[queue]))
        if (map.lanes[lane].role < 0) return lane;
    return -1;
}

namespace {

// Appends a task to its lane. Returns false if there is no memory.
bool add_ready_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies) {
    if (is_dropped(map.queues[map.lanes[lane].queue])) return true;
    if (!push_task_locked(lane, priority, ref, dies, 0)) return false;
    if (dies != 0) lower_min_dies(map.queues[map.lanes[lane].queue].db, dies);
    change_count_locked(lane, 1);
    return true;
}

}  // namespace

void return_ready(const Hint &h) {
    if (h.group != 0) {
        file_grouped(h);
        return;
    }
    SlotNo db = map.queues[map.lanes[h.lane].queue].db;
    pg::LwLockGuard lock(namespace_lock(map.queues[map.lanes[h.lane].queue].ns));
    if (is_dropped(map.queues[map.lanes[h.lane].queue])) return;
    if (!push_first_locked(h.lane, h.priority, h.ref, h.dies)) {
        lose(db);
        return;
    }
    if (h.dies != 0) lower_min_dies(db, h.dies);
    change_count_locked(h.lane, 1);
}

void put_back(SlotNo queue, int32 priority, const TaskRef &ref, uint64 key, TimestampTz dies) {
    SlotNo db = map.queues[queue].db;
    SlotNo lane = outside_lane(queue);
    if (lane < 0 || state_of(db) == DbState::Unserved) return;
    return_ready({ref, lane, priority, 0, dies, key, Arrival::InFront});
    wake_task_waiters(queue, 1);
    wake_scheduler(db);
}

void enqueue(const Hint &h) {
    SlotNo db = map.queues[map.lanes[h.lane].queue].db;
    if (h.group != 0) {
        file_grouped(h);
    } else if (h.wait != Wait::None) {
        if (!put_off(db, h.wait, {0, h.dies, h.ref, h.lane, h.priority})) lose(db);
    } else if (h.due != 0) {
        if (!add_due(db, {h.due, h.dies, h.ref, h.lane, h.priority})) lose(db);
    } else {
        pg::LwLockGuard lock(namespace_lock(map.queues[map.lanes[h.lane].queue].ns));
        if (!add_ready_locked(h.lane, h.priority, h.ref, h.dies)) lose(db);
    }
}

void revise_queue_locked(SlotNo no) {
    Queue &q = map.queues[no];
    if (has_room(q)) q.blocked.store(false);
    for (SlotNo lane : lanes_of(q)) {
        if (may_run(q) && map.lanes[lane].count > 0 && !map.lanes[lane].held)
            activate_locked(lane);
        else
            deactivate_locked(lane);
    }
}

void revise_namespace_locked(SlotNo ns) { map.namespaces[ns].blocked.store(false); }

void clear_ready(SlotNo db) {
    each_queue(db, [](SlotNo no) {
        Queue &q = map.queues[no];
        pg::LwLockGuard lock(namespace_lock(q.ns));
        for (SlotNo lane : lanes_of(q)) {
            deactivate_locked(lane);
            free_lists_locked(lane);
            map.lanes[lane].count = 0;
        }
        q.hinted.store(0);
        q.rows_decide = false;
    });
    database(db).ready.min_dies.store(INT64_MAX);
}

}  // namespace pgqueue::dispatch
