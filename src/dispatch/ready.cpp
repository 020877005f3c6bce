#include "dispatch/ready.hpp"

#include "dispatch/due.hpp"
#include "dispatch/expiry.hpp"
#include "dispatch/page_list.hpp"
#include "dispatch/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

void activate_locked(SlotNo no) {
    Lane &lane = map.lanes[no];
    if (lane.active) return;
    Source &source = map.sources[lane.source];
    Namespace &ns = map.namespaces[source.ns];
    if (pg_atomic_read_u64(&source.ready) == 0) ns.pass = Max(ns.pass, database(ns.db).virtual_time);
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

bool may_run(const Queue &q) { return !q.paused && pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&q.blocked)) == 0; }

void change_count_locked(SlotNo no, int64 by) {
    Lane &lane = map.lanes[no];
    Queue &q = map.queues[lane.queue];
    lane.count += by;
    pg_atomic_fetch_add_u64(&q.hinted, by);
    if (lane.active) pg_atomic_fetch_add_u64(&map.sources[lane.source].ready, by);
    if (lane.count > 0 && !lane.active && may_run(q)) activate_locked(no);
    if (by > 0 && lane.role < 0 && pg_atomic_read_u32(&q.news) == 0) {
        pg_atomic_write_u32(&q.news, 1);
        pg_atomic_write_u32(&database(q.db).news, 1);
    }
    if (lane.count == 0) deactivate_locked(no);
}

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
    PageList *list = pg_atomic_read_u32(&map.queues[map.lanes[lane].queue].dropped) == 0 ? list_for(lane, p->priority) : nullptr;
    if (list == nullptr) {
        if (pg_atomic_read_u32(&map.queues[map.lanes[lane].queue].dropped) == 0) lose(db);
        give_page(no);
        return;
    }
    if (p->min_dies != INT64_MAX) note_dies(db, p->min_dies);
    if (n >= ready_per_page / 2) {
        append_page(list, no);
    } else {
        int64 dies = p->min_dies == INT64_MAX ? 0 : p->min_dies;
        for (int i = p->head; i < p->count; i++)
            if (!push_ready(list, p->ready[i], dies)) {
                lose(db);
                n--;
            }
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

}  // namespace

void drain_inbox_locked(SlotNo no) {
    Namespace &ns = map.namespaces[no];
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
        if (page(oldest)->kind == PageKind::Ready)
            take_over_ready(ns.db, oldest);
        else
            take_over_due(ns.db, oldest);
        oldest = next;
    }
}

void drain_inboxes(SlotNo db) {
    Database &d = database(db);
    uint32 n = pg_atomic_read_u32(&d.namespaces);
    for (uint32 i = 0; i < n; i++) {
        if (pg_atomic_read_u32(&map.namespaces[d.ns[i]].inbox) == 0) continue;
        pg::LwLockGuard lock(namespace_lock(d.ns[i]));
        drain_inbox_locked(d.ns[i]);
    }
}

bool add_ready_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies) {
    if (pg_atomic_read_u32(&map.queues[map.lanes[lane].queue].dropped) != 0) return true;
    PageList *list = list_for(lane, priority);
    if (list == nullptr || !push_ready(list, ref, dies)) return false;
    if (dies != 0) note_dies(map.queues[map.lanes[lane].queue].db, dies);
    change_count_locked(lane, 1);
    return true;
}

SlotNo outside_lane(SlotNo queue) {
    for (uint32 l = pg_atomic_read_u32(&map.queues[queue].first_lane); l != 0; l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue))
        if (map.lanes[l - 1].role < 0) return static_cast<SlotNo>(l - 1);
    return -1;
}

bool return_ready(SlotNo no, int32 priority, const TaskRef &ref, int64 dies) {
    pg::LwLockGuard lock(namespace_lock(map.queues[map.lanes[no].queue].ns));
    PageList *list = list_for(no, priority);
    Page *front = list != nullptr && list->front != 0 ? page(list->front) : nullptr;
    if (front == nullptr || front->head == 0) return add_ready_locked(no, priority, ref, dies);
    front->ready[--front->head] = ref;
    list->count++;
    if (dies != 0) {
        front->min_dies = Min(front->min_dies, dies);
        list->min_dies = Min(list->min_dies, dies);
        note_dies(map.queues[map.lanes[no].queue].db, dies);
    }
    change_count_locked(no, 1);
    return true;
}

bool add_ready(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies) {
    pg::LwLockGuard lock(namespace_lock(map.queues[map.lanes[lane].queue].ns));
    return add_ready_locked(lane, priority, ref, dies);
}

namespace {

// The first list of a lane with something in it. Lists are only taken apart by the scheduler, which may be at work on them without the lock.
Take best_list(Lane *lane, PriorityList **out, Page **front) {
    for (SlotNo no = lane->first; no >= 0; no = map.priorities[no].next) {
        PriorityList *p = &map.priorities[no];
        if (p->list.count == 0) continue;
        Take t = front_page(&p->list, front);
        if (t == Take::Empty) continue;
        *out = p;
        return t;
    }
    return Take::Empty;
}

int32 room(int32 most, pg_atomic_uint32 *running) {
    if (most <= 0) return INT32_MAX;
    return Max(most - static_cast<int32>(pg_atomic_read_u32(running)), 0);
}

// Room under a limit; with none, marks `blocked` so that the next end of a task looks again.
int32 room_or_block(int32 most, pg_atomic_uint32 *running, pg_atomic_uint32 *blocked) {
    int32 n = room(most, running);
    if (n > 0) return n;
    pg_atomic_write_u32(blocked, 1);
    pg_memory_barrier();
    n = room(most, running);
    if (n > 0) pg_atomic_write_u32(blocked, 0);
    return n;
}

// Makes `no` the best lane when its head is better: smaller priority, then the older task. A lane that waits for pages from the file is
// left out.
void consider(SlotNo no, SlotNo db, SlotNo *best, PriorityList **list, Page **front) {
    PriorityList *p = nullptr;
    Page *f = nullptr;
    Take t = best_list(&map.lanes[no], &p, &f);
    if (t == Take::InFile) wake_scheduler(db);
    if (t != Take::Got) return;
    bool better = *best < 0 || p->priority < (*list)->priority ||
                  (p->priority == (*list)->priority && f->ready[f->head].id < (*front)->ready[(*front)->head].id);
    if (!better) return;
    *best = no;
    *list = p;
    *front = f;
}

// The best active lane of a source.
SlotNo best_lane(Source *source, PriorityList **list, Page **front) {
    SlotNo best = -1;
    for (SlotNo l = source->first_active; l >= 0; l = map.lanes[l].next_active) consider(l, map.namespaces[source->ns].db, &best, list, front);
    return best;
}

// Pops from one source under its namespace's lock, within the limits.
int pop_from_source(Source *source, WorkerSlot *w, int most) {
    Namespace &ns = map.namespaces[source->ns];
    if (ns.paused) return 0;
    most = Min(most, room_or_block(ns.max_running, &ns.running, &ns.blocked));
    while (most > 0) {
        PriorityList *list = nullptr;
        Page *front = nullptr;
        SlotNo no = best_lane(source, &list, &front);
        if (no < 0) return 0;
        Queue &q = map.queues[map.lanes[no].queue];
        int n = Min(most, room_or_block(q.max_running, &q.running, &q.blocked));
        if (n == 0) {
            revise_queue_locked(map.lanes[no].queue);
            continue;
        }
        n = Min(n, front->count - front->head);
        for (int i = 0; i < n; i++) {
            Hold &h = w->holds[i];
            h.ref = front->ready[front->head++];
            h.queue = map.lanes[no].queue;
            h.attempt = 0;
            h.receipt = 0;
            pg_atomic_write_u32(&h.state, static_cast<uint32>(HoldState::Popped));
        }
        pg_write_barrier();
        pg_atomic_write_u32(&w->n_holds, static_cast<uint32>(n));
        list->list.count -= n;
        pg_atomic_fetch_add_u32(&q.running, static_cast<uint32>(n));
        pg_atomic_fetch_add_u32(&ns.running, static_cast<uint32>(n));
        change_count_locked(no, -n);
        database(ns.db).virtual_time = ns.pass;
        ns.pass += share_unit * static_cast<uint64>(n) / static_cast<uint64>(ns.weight > 0 ? ns.weight : 1);
        return n;
    }
    return 0;
}

}  // namespace

int pop_for_worker(SlotNo worker, int most) {
    WorkerSlot &w = map.shared->workers[worker];
    Role &role = map.roles[w.role];
    drain_inboxes(w.db);
    uint64 after = 0;  // sources up to this (pass, number) had nothing that may run
    SlotNo after_no = -1;
    for (;;) {
        SlotNo best = -1;
        uint64 best_pass = 0;
        for (uint32 i = pg_atomic_read_u32(&role.first_source); i != 0; i = static_cast<uint32>(map.sources[i - 1].next_of_role + 1)) {
            SlotNo no = static_cast<SlotNo>(i - 1);
            Source &s = map.sources[no];
            if (s.ns < 0 || pg_atomic_read_u64(&s.ready) == 0) continue;
            uint64 pass = map.namespaces[s.ns].pass;
            bool tried = pass < after || (pass == after && no <= after_no);
            if (tried || (best >= 0 && (pass > best_pass || (pass == best_pass && no > best)))) continue;
            best = no;
            best_pass = pass;
        }
        if (best < 0) return 0;
        {
            pg::LwLockGuard lock(namespace_lock(map.sources[best].ns));
            int n = pop_from_source(&map.sources[best], &w, Min(most, max_batch));
            if (n > 0) return n;
        }
        after = best_pass;
        after_no = best;
    }
}

namespace {

// The best active lane among those of some queues, or of all.
SlotNo best_outside_lane(SlotNo ns, std::span<const SlotNo> queues, PriorityList **list, Page **front) {
    uint32 s = pg_atomic_read_u32(&map.namespaces[ns].outside_source);
    if (s == 0) return -1;
    if (queues.empty()) return best_lane(&map.sources[s - 1], list, front);
    SlotNo best = -1;
    for (SlotNo q : queues) {
        SlotNo lane = outside_lane(q);
        if (lane < 0 || !map.lanes[lane].active) continue;
        consider(lane, map.namespaces[ns].db, &best, list, front);
    }
    return best;
}

}  // namespace

int pop_for_outside(SlotNo no, std::span<const SlotNo> queues, Popped *out, int most) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(namespace_lock(no));
    drain_inbox_locked(no);
    if (ns.paused) return 0;
    most = Min(most, room_or_block(ns.max_running, &ns.running, &ns.blocked));
    int total = 0;
    while (total < most) {
        PriorityList *list = nullptr;
        Page *front = nullptr;
        SlotNo lane = best_outside_lane(no, queues, &list, &front);
        if (lane < 0) break;
        Queue &q = map.queues[map.lanes[lane].queue];
        int n = Min(most - total, room_or_block(q.max_running, &q.running, &q.blocked));
        if (n == 0) {
            revise_queue_locked(map.lanes[lane].queue);
            continue;
        }
        n = Min(n, front->count - front->head);
        // Between lanes of one priority the older task comes first: only what is older than the next lane's head may go in one step.
        bool alone = queues.size() == 1 || (queues.empty() && map.lanes[lane].prev_active < 0 && map.lanes[lane].next_active < 0);
        if (!alone) n = 1;
        for (int i = 0; i < n; i++) out[total++] = {front->ready[front->head++], map.lanes[lane].queue, list->priority};
        list->list.count -= n;
        pg_atomic_fetch_add_u32(&q.running, static_cast<uint32>(n));
        pg_atomic_fetch_add_u32(&ns.running, static_cast<uint32>(n));
        change_count_locked(lane, -n);
    }
    return total;
}

bool ready_for_outside(SlotNo no, std::span<const SlotNo> queues) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(namespace_lock(no));
    drain_inbox_locked(no);
    if (ns.paused || room(ns.max_running, &ns.running) == 0) return false;
    PriorityList *list = nullptr;
    Page *front = nullptr;
    return best_outside_lane(no, queues, &list, &front) >= 0;
}

int pop_for_scheduler(SlotNo db, SlotNo role, TaskRef *out, int most) {
    drain_inboxes(db);
    for (uint32 i = pg_atomic_read_u32(&map.roles[role].first_source); i != 0; i = static_cast<uint32>(map.sources[i - 1].next_of_role + 1)) {
        Source &s = map.sources[i - 1];
        if (s.ns < 0 || pg_atomic_read_u64(&s.ready) == 0) continue;
        pg::LwLockGuard lock(namespace_lock(s.ns));
        PriorityList *list = nullptr;
        Page *front = nullptr;
        SlotNo lane = best_lane(&s, &list, &front);
        if (lane < 0) continue;
        int n = Min(most, front->count - front->head);
        for (int k = 0; k < n; k++) out[k] = front->ready[front->head++];
        list->list.count -= n;
        change_count_locked(lane, -n);
        return n;
    }
    return 0;
}

int64 ready_for_role(SlotNo no) {
    Role &role = map.roles[no];
    int64 sum = 0;
    for (uint32 i = pg_atomic_read_u32(&role.first_source); i != 0; i = static_cast<uint32>(map.sources[i - 1].next_of_role + 1)) {
        Source &s = map.sources[i - 1];
        if (s.ns < 0) continue;
        Namespace &ns = map.namespaces[s.ns];
        if (!ns.paused && room(ns.max_running, &ns.running) > 0) sum += static_cast<int64>(pg_atomic_read_u64(&s.ready));
    }
    return sum;
}

void end_running(SlotNo queue, uint32 count) {
    Queue &q = map.queues[queue];
    Namespace &ns = map.namespaces[q.ns];
    pg_atomic_fetch_sub_u32(&q.running, count);
    pg_atomic_fetch_sub_u32(&ns.running, count);
    pg_memory_barrier();
    bool look = false;
    if (pg_atomic_read_u32(&q.blocked) != 0) {
        pg::LwLockGuard lock(namespace_lock(q.ns));
        pg_atomic_write_u32(&q.blocked, 0);
        revise_queue_locked(queue);
        look = true;
    }
    if (pg_atomic_read_u32(&ns.blocked) != 0) {
        pg_atomic_write_u32(&ns.blocked, 0);
        look = true;
    }
    if (look) wake_scheduler(q.db);
}

void revise_queue_locked(SlotNo no) {
    Queue &q = map.queues[no];
    if (room(q.max_running, &q.running) > 0) pg_atomic_write_u32(&q.blocked, 0);
    for (uint32 l = pg_atomic_read_u32(&q.first_lane); l != 0; l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue)) {
        SlotNo lane = static_cast<SlotNo>(l - 1);
        if (may_run(q) && map.lanes[lane].count > 0)
            activate_locked(lane);
        else
            deactivate_locked(lane);
    }
}

void revise_namespace_locked(SlotNo ns) { pg_atomic_write_u32(&map.namespaces[ns].blocked, 0); }

namespace {

template <typename F>
void each_queue(SlotNo db, F f) {
    for (SlotNo q = 0; q < map.shared->used_queues; q++)
        if (map.queues[q].used && map.queues[q].db == db) f(q);
}

}  // namespace

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
