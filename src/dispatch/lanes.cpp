#include "dispatch/lanes.hpp"

#include "dispatch/due.hpp"
#include "dispatch/expiry.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/ready.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

void activate_locked(SlotNo no) {
    Lane &lane = map.lanes[no];
    if (lane.active) return;
    Source &source = map.sources[lane.source];
    Namespace &ns = map.namespaces[source.ns];
    if (pg_atomic_read_u64(&source.ready) == 0) ns.pass = share_rejoin(ns.pass, database(ns.db).virtual_time);
    lane.prev_active = -1;
    lane.next_active = source.first_active;
    if (source.first_active >= 0) map.lanes[source.first_active].prev_active = no;
    source.first_active = no;
    lane.active = true;
    pg_atomic_fetch_add_u64(&source.ready, lane.count);
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
    pg_atomic_fetch_sub_u64(&source.ready, lane.count);
}

void change_count_locked(SlotNo no, int64 by) {
    Lane &lane = map.lanes[no];
    Queue &q = map.queues[lane.queue];
    lane.count += by;
    pg_atomic_fetch_add_u64(&q.hinted, by);
    if (lane.active) pg_atomic_fetch_add_u64(&map.sources[lane.source].ready, by);
    if (lane.count > 0 && !lane.active && !lane.held && may_run(q)) activate_locked(no);
    if (by > 0 && lane.role < 0 && pg_atomic_read_u32(&q.news) == 0) {
        pg_atomic_write_u32(&q.news, 1);
        pg_atomic_write_u32(&database(q.db).news, 1);
    }
    if (lane.count == 0) deactivate_locked(no);
}

namespace {

// The list of a priority in a lane, made when missing. Null: no memory.
PageList *list_for(SlotNo no, int32 priority) {
    SlotNo *link = &map.lanes[no].first;
    while (*link >= 0 && map.priorities[*link].priority < priority) link = &map.priorities[*link].next;
    if (*link >= 0 && map.priorities[*link].priority == priority) return &map.priorities[*link].list;
    SlotNo made = take_priority();
    if (made < 0) return nullptr;
    PriorityList &p = map.priorities[made];
    p.priority = priority;
    init_list(&p.list);
    p.next = *link;
    *link = made;
    return &p.list;
}

void lose(SlotNo db) { pg_atomic_write_u32(&database(db).lost, 1); }

// Files one page of ready tasks that a transaction handed over.
void take_over_ready(SlotNo db, PageNo no) {
    Page *p = page(no);
    SlotNo lane = p->lane;
    int n = p->count - p->head;
    PageList *list = !is_dropped(map.queues[map.lanes[lane].queue]) ? list_for(lane, p->priority) : nullptr;
    if (list == nullptr) {
        if (!is_dropped(map.queues[map.lanes[lane].queue])) lose(db);
        give_page(no);
        return;
    }
    if (p->min_dies != INT64_MAX) note_dies(db, p->min_dies);
    if (n >= ready_per_page / 2) {
        append_page(list, no);
    } else {
        int64 dies = p->min_dies == INT64_MAX ? 0 : p->min_dies;
        while (p->head < p->count && push_ready(list, p->ready[p->head], dies, p->since)) p->head++;
        // Without another page the rest stays in its own.
        if (p->head < p->count)
            append_page(list, no);
        else
            give_page(no);
    }
    if (n > 0) change_count_locked(lane, n);
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

void drain_inbox_locked(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    if (pg_atomic_read_u32(&ns.inbox) == 0) return;
    PageNo newest = pg_atomic_exchange_u32(&ns.inbox, 0);
    PageNo oldest = 0;
    while (newest != 0) {
        PageNo next = page(newest)->next;
        page(newest)->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != 0) {
        PageNo next = page(oldest)->next;
        switch (page(oldest)->kind) {
            case PageKind::Ready: take_over_ready(ns.db, oldest); break;
            case PageKind::Grouped: take_over_grouped(oldest); break;
            default: take_over_due(ns.db, oldest);
        }
        oldest = next;
    }
}

void drain_inboxes(SlotNo db) {
    each_namespace(db, [](SlotNo ns) {
        if (pg_atomic_read_u32(&map.namespaces[ns].inbox) == 0) return;
        pg::LwLockGuard lock(namespace_lock(ns));
        drain_inbox_locked(ns);
    });
}

SlotNo outside_lane(SlotNo queue) {
    for (uint32 l = pg_atomic_read_u32(&map.queues[queue].first_lane); l != 0; l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue))
        if (map.lanes[l - 1].role < 0) return static_cast<SlotNo>(l - 1);
    return -1;
}

namespace {

// Appends a task to its lane. False: no memory.
bool add_ready_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies) {
    if (is_dropped(map.queues[map.lanes[lane].queue])) return true;
    PageList *list = list_for(lane, priority);
    if (list == nullptr || !push_ready(list, ref, dies, 0)) return false;
    if (dies != 0) note_dies(map.queues[map.lanes[lane].queue].db, dies);
    change_count_locked(lane, 1);
    return true;
}

// The front page of a list with a free place before its first entry; null: none can be had.
Page *page_with_place_before(PageList *list) {
    if (list == nullptr) return nullptr;
    Page *front = list->front != 0 ? page(list->front) : nullptr;
    if (front != nullptr && front->head == front->count) front->since = pg::monotonic_now();
    if (front != nullptr && front->head > 0) return front;
    if (front != nullptr && front->count < ready_per_page) {
        memmove(&front->ready[1], &front->ready[0], sizeof(TaskRef) * front->count);
        front->head++;
        front->count++;
        return front;
    }
    PageNo no = take_page(PageKind::Ready);
    if (no == 0) return nullptr;
    Page *p = page(no);
    p->head = p->count = 1;
    p->since = front != nullptr ? front->since : pg::monotonic_now();
    p->next = list->front;
    list->front = no;
    // Also while the scheduler moves pages: it touches those behind the front ones only.
    if (front == nullptr) list->front_last = no;
    return p;
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
    PageList *list = list_for(h.lane, h.priority);
    Page *front = page_with_place_before(list);
    if (front == nullptr) {
        if (!add_ready_locked(h.lane, h.priority, h.ref, h.dies)) lose(db);
        return;
    }
    front->ready[--front->head] = h.ref;
    list->count++;
    if (h.dies != 0) {
        front->min_dies = Min(front->min_dies, h.dies);
        list->min_dies = Min(list->min_dies, h.dies);
        note_dies(db, h.dies);
    }
    change_count_locked(h.lane, 1);
}

void file_hint(const Hint &h) {
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
    if (has_room(q)) pg_atomic_write_u32(&q.blocked, 0);
    for (uint32 l = pg_atomic_read_u32(&q.first_lane); l != 0; l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue)) {
        SlotNo lane = static_cast<SlotNo>(l - 1);
        if (may_run(q) && map.lanes[lane].count > 0 && !map.lanes[lane].held)
            activate_locked(lane);
        else
            deactivate_locked(lane);
    }
}

void revise_namespace_locked(SlotNo ns) { pg_atomic_write_u32(&map.namespaces[ns].blocked, 0); }

void clear_ready(SlotNo db) {
    each_queue(db, [](SlotNo no) {
        Queue &q = map.queues[no];
        pg::LwLockGuard lock(namespace_lock(q.ns));
        for (uint32 l = pg_atomic_read_u32(&q.first_lane); l != 0; l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue)) {
            SlotNo lane = static_cast<SlotNo>(l - 1);
            deactivate_locked(lane);
            for (SlotNo p = map.lanes[lane].first; p >= 0;) {
                SlotNo next = map.priorities[p].next;
                clear_list(&map.priorities[p].list);
                give_priority(p);
                p = next;
            }
            map.lanes[lane].first = -1;
            map.lanes[lane].count = 0;
        }
        pg_atomic_write_u64(&q.hinted, 0);
    });
    pg_atomic_write_u64(&database(db).min_dies, static_cast<uint64>(INT64_MAX));
}

}  // namespace pgqueue::dispatch
