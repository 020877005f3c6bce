#include "dispatch/pop.hpp"

#include "dispatch/ended_leases.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/group_entries.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/priorities.hpp"
#include "dispatch/reserved_leases.hpp"
#include "memory/users.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

// The head of a lane that may be taken next: the first task of one of its lists, or the head of a group. rank: its
// priority, less what it has gained by waiting.
struct Candidate {
    SlotNo lane = -1;
    PriorityList *list = nullptr;
    Page *front = nullptr;
    GroupNo group = 0;
    int64 rank = 0;

    int64 id() const { return group != 0 ? dispatch::group(group).head_id : ready_ref(*front, front->head).id; }
    bool before(const Candidate &other) const {
        return other.lane < 0 || rank < other.rank || (rank == other.rank && id() < other.id());
    }
    int ready() const { return group != 0 ? 1 : same_priority(*list, *front); }
};

// A task that was taken off its lane.
struct Taken {
    TaskRef ref;
    int32 priority;
};

// Takes n tasks off the head of a lane, and calls F(Taken) for each. run: they are going to be held.
template <typename F>
void take_off(const Candidate &c, int n, bool run, F f) {
    if (c.group != 0) {
        GroupTask t = take_head_locked(c.group, run);
        f(Taken{t.ref, t.priority});
        return;
    }
    for (int i = 0; i < n; i++, c.front->head++)
        f(Taken{ready_ref(*c.front, c.front->head), ready_priority(*c.front, c.front->head)});
    c.list->list.count -= n;
    change_count_locked(c.lane, -n);
    if (c.list->list.count == 0) list_is_empty_locked(c.lane);
}

// Finds the best head of a lane: that of the first list with tasks, or with aging the one that has gained most, or that
// of the best group. Returns Waits or Begun if a list that cannot be read yet may have the best task.
Front best_list(SlotNo no, Candidate *best) {
    int64 aging = map.queues[map.lanes[no].queue].aging;
    int64 now = aging > 0 ? pg::monotonic_now() : 0;
    int tries = 4;  // so many lists may be taken apart meanwhile
    for (SlotNo l = map.lanes[no].first; l >= 0;) {
        PriorityList &list = map.priorities[l];
        Candidate c{no, &list, nullptr, 0, list.range.from};
        Front f = list.list.count == 0 ? Front::None : front_of_locked(no, l, &c.front);
        if (f == Front::Gone && --tries > 0) {
            *best = Candidate{};
            l = map.lanes[no].first;
            continue;
        }
        if (f == Front::Gone) return Front::Begun;
        if (f == Front::Waits || f == Front::Begun) return f;
        l = list.next;
        if (f == Front::None) continue;
        c.rank = ready_priority(*c.front, c.front->head);
        if (aging > 0) c.rank -= Max(now - c.front->since, 0) / aging;
        if (c.before(*best)) *best = c;
        if (aging <= 0) break;
    }
    if (GroupNo g = best_group_locked(no); g != 0) {
        // With aging the rank of a group is its virtual time.
        Candidate c{no, nullptr, nullptr, g, aging > 0 ? (group(g).rank - now) / aging : group(g).rank};
        if (c.before(*best)) *best = c;
    }
    return best->lane == no ? Front::Tasks : Front::None;
}

// Whether a list that has to be taken apart could not be read. Each further try takes more of it apart.
constinit bool begun = false;

// Calls pop() again while it returns 0 because of such lists. The locks are released between two calls.
template <typename F>
int pop_patiently(F pop) {
    constexpr int most_tries = 256;
    for (int tries = 0;; tries++) {
        begun = false;
        int n = pop();
        if (n > 0 || !begun || tries == most_tries) return n;
    }
}

// Replaces *best by the best head of a lane if that one is better.
void consider(SlotNo no, SlotNo db, Candidate *best) {
    Candidate c;
    Front f = best_list(no, &c);
    begun = begun || f == Front::Begun;
    if (f == Front::Waits || f == Front::Begun) wake_scheduler(db);
    // LISTEN clients look again when the scheduler has read the list.
    if (f == Front::Waits && map.lanes[no].role < 0) {
        map.queues[map.lanes[no].queue].unnotified.store(true);
        database(db).waiters.unnotified.store(true);
    }
    if (f == Front::Tasks && c.before(*best)) *best = c;
}

// Returns the best head of the active lanes of a source.
Candidate best_lane(const Source &source) {
    Candidate best;
    for (SlotNo l = source.first_active; l >= 0; l = map.lanes[l].next_active)
        consider(l, map.namespaces[source.ns].db, &best);
    return best;
}

// Pops from one source within the limits. The namespace lock is held.
int pop_from_source(Source *source, WorkerSlot *w, int most) {
    Namespace &ns = map.namespaces[source->ns];
    if (ns.paused) return 0;
    most = room_of_namespace(&ns, most);
    int total = 0;
    // A group gives one task at a time. A list gives as many as possible at once, and ends the loop.
    for (bool more = true; more && total < most;) {
        Candidate c = best_lane(*source);
        if (c.lane < 0) break;
        SlotNo queue = map.lanes[c.lane].queue;
        Queue &q = map.queues[queue];
        int n = Min(room_of_queue(&q, most - total), c.ready());
        if (n == 0) {
            revise_queue_locked(queue);
            continue;
        }
        take_off(c, n, true, [&](const Taken &t) {
            Hold &h = w->holds[total++];
            h.ref = t.ref;
            h.queue = queue;
            h.group = c.group;
            h.priority = t.priority;
            h.attempt = 0;
            h.receipt = 0;
            h.state.store(HoldState::Popped);
        });
        reserve(&q, &ns, n);
        more = c.group != 0;
    }
    if (total == 0) return 0;
    pg_write_barrier();
    w->n_holds.store(total);
    database(ns.db).ready.virtual_time = ns.virtual_time;
    ns.virtual_time += virtual_time_step(static_cast<uint64>(total), ns.weight);
    return total;
}

}  // namespace

namespace {

int pop_best(SlotNo worker, int most) {
    WorkerSlot &w = map.shared->workers[worker];
    if (database(w.db).service.identity_changed.load() != 0) return 0;
    drain_for_role(w.role);
    uint64 after = 0;  // sources up to this (pass, number) had nothing that may run
    SlotNo after_no = -1;
    for (;;) {
        SlotNo best = -1;
        uint64 best_pass = 0;
        for (SlotNo no = first_source_of(w.role); no >= 0; no = map.sources[no].next_of_role) {
            Source &s = map.sources[no];
            if (s.ns < 0 || s.ready.load() == 0) continue;
            uint64 pass = map.namespaces[s.ns].virtual_time;
            bool tried = pass < after || (pass == after && no <= after_no);
            if (tried || (best >= 0 && (pass > best_pass || (pass == best_pass && no > best)))) continue;
            best = no;
            best_pass = pass;
        }
        if (best < 0) return 0;
        drain_inbox(map.sources[best].ns);
        {
            pg::LwLockGuard lock(namespace_lock(map.sources[best].ns));
            int n = pop_from_source(&map.sources[best], &w, Min(most, max_batch));
            if (n > 0) return n;
        }
        after = best_pass;
        after_no = best;
    }
}

}  // namespace

int pop_for_worker(SlotNo worker, int most) {
    bool began = begin_use();
    int n = pop_patiently([=] { return pop_best(worker, most); });
    if (began) end_use();  // popped tasks count in `running`, which keeps their entries
    return n;
}

namespace {

// Returns the best head of the active lanes of some queues (empty: of all).
Candidate best_outside_lane(SlotNo ns, std::span<const SlotNo> queues) {
    Candidate best;
    SlotNo s = map.namespaces[ns].outside_source.load();
    if (s < 0) return best;
    if (queues.empty()) return best_lane(map.sources[s]);
    for (SlotNo q : queues) {
        SlotNo lane = outside_lane(q);
        if (lane < 0 || !map.lanes[lane].active) continue;
        consider(lane, map.namespaces[ns].db, &best);
    }
    return best;
}

int pop_outside(SlotNo no, std::span<const SlotNo> queues, std::span<const SlotNo> entries) {
    Namespace &ns = map.namespaces[no];
    if (database(ns.db).service.identity_changed.load() != 0) return 0;
    drain_inbox(no);
    pg::LwLockGuard lock(namespace_lock(no));
    if (ns.paused) return 0;
    auto reserved = static_cast<int32>(entries.size());
    int most = room_of_namespace(&ns, reserved);
    if (most > 0) most = static_cast<int>(Min(int64(most), lease_room(ns, reserved)));
    int total = 0;
    while (total < most) {
        Candidate c = best_outside_lane(no, queues);
        if (c.lane < 0) break;
        const Lane &lane = map.lanes[c.lane];
        Queue &q = map.queues[lane.queue];
        int n = Min(room_of_queue(&q, most - total), c.ready());
        if (n == 0) {
            revise_queue_locked(lane.queue);
            continue;
        }
        // Between lanes with the same priority the older task comes first. Only tasks that are older than the head of
        // the next lane may be taken in one step, so with several lanes it is one task.
        bool alone = queues.size() == 1 || (queues.empty() && lane.prev_active < 0 && lane.next_active < 0);
        if (!alone) n = 1;
        take_off(c, n, true, [&](const Taken &t) {
            mark_popped(entries[static_cast<std::size_t>(total++)], t.ref, lane.queue, c.group, t.priority);
        });
        reserve(&q, &ns, n);
    }
    return total;
}

}  // namespace

int pop_for_outside(SlotNo no, std::span<const SlotNo> queues, std::span<const SlotNo> entries) {
    return pop_patiently([=] { return pop_outside(no, queues, entries); });
}

bool ready_for_outside(SlotNo no, std::span<const SlotNo> queues) {
    Namespace &ns = map.namespaces[no];
    drain_inbox(no);
    pg::LwLockGuard lock(namespace_lock(no));
    if (database(ns.db).service.identity_changed.load() != 0 || ns.paused) return false;
    for (;;) {
        Candidate c = best_outside_lane(no, queues);
        if (c.lane < 0) return false;
        SlotNo queue = map.lanes[c.lane].queue;
        if (room_of_queue(&map.queues[queue], 1) > 0) break;
        revise_queue_locked(queue);
    }
    return room_of_namespace(&ns, 1) > 0 && lease_room(ns, 0) > 0;
}

int pop_for_scheduler(SlotNo db, SlotNo role, Ready *out, int most) {
    drain_inboxes(db);
    for (SlotNo no = first_source_of(role); no >= 0; no = map.sources[no].next_of_role) {
        Source &s = map.sources[no];
        if (s.ns < 0 || s.ready.load() == 0) continue;
        pg::LwLockGuard lock(namespace_lock(s.ns));
        Candidate c = best_lane(s);
        if (c.lane < 0) continue;
        SlotNo queue = map.lanes[c.lane].queue;
        if (c.group != 0) {
            out[0] = {slab_entry<GroupNode>(group(c.group).first)->ref, queue, group(c.group).key};
            return 1;
        }
        int n = 0;
        take_off(c, Min(most, c.ready()), false, [&](const Taken &t) { out[n++] = {t.ref, queue, 0}; });
        return n;
    }
    return 0;
}

int64 ready_for_role(SlotNo no) {
    bool began = begin_use();
    int64 sum = 0;
    for (SlotNo source = first_source_of(no); source >= 0; source = map.sources[source].next_of_role) {
        Source &s = map.sources[source];
        if (s.ns < 0) continue;
        Namespace &ns = map.namespaces[s.ns];
        if (!ns.paused && has_room(ns)) sum += s.ready.load();
    }
    if (began) end_use();
    return sum;
}

}  // namespace pgqueue::dispatch
