// Taking tasks from the ready lists: best priority first, oldest inside that, fair between namespaces, within the limits.
#include "dispatch/lanes.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
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
    most = room_of_namespace(&ns, most);
    while (most > 0) {
        PriorityList *list = nullptr;
        Page *front = nullptr;
        SlotNo no = best_lane(source, &list, &front);
        if (no < 0) return 0;
        Queue &q = map.queues[map.lanes[no].queue];
        int n = room_of_queue(&q, most);
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
        reserve(&q, &ns, n);
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
    most = room_of_namespace(&ns, most);
    int total = 0;
    while (total < most) {
        PriorityList *list = nullptr;
        Page *front = nullptr;
        SlotNo lane = best_outside_lane(no, queues, &list, &front);
        if (lane < 0) break;
        Queue &q = map.queues[map.lanes[lane].queue];
        int n = room_of_queue(&q, most - total);
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
        reserve(&q, &ns, n);
        change_count_locked(lane, -n);
    }
    return total;
}

bool ready_for_outside(SlotNo no, std::span<const SlotNo> queues) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(namespace_lock(no));
    drain_inbox_locked(no);
    if (ns.paused || !has_room(ns)) return false;
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
        if (!ns.paused && has_room(ns)) sum += static_cast<int64>(pg_atomic_read_u64(&s.ready));
    }
    return sum;
}

}  // namespace pgqueue::dispatch
