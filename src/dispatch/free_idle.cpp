#include "dispatch/free_idle.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/priorities.hpp"
#include "memory/full_table.hpp"
#include "memory/pool.hpp"
#include "memory/registry.hpp"
#include "memory/roles.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

// One step over a database.
struct Step {
    SlotNo db;
    uint64 until;   // drops up to this one are put down
    bool *roles;    // roles that a lane names
    bool *sources;  // sources that a lane names
    bool *held;     // queues of which a worker holds a task
    bool left;      // another step is to come
};

bool has_workers(SlotNo role) { return map.roles[role].workers.load() != 0; }

// Returns whether a lane has no task, and none will be given back to it. The lane of outside workers is never idle,
// because a session that holds a task gives it back there.
bool is_idle(const Lane &lane, const Step &s) {
    return lane.role >= 0 && lane.count == 0 && !lane.active && lane.due == 0 && lane.grouped == 0 &&
           !s.held[lane.queue];
}

void mark_held(Step *s) {
    for (const WorkerSlot &w : map.shared->workers) {
        if (w.db != s->db) continue;
        for (int i = 0; i < Min(w.n_holds.load(), max_batch); i++)
            if (w.holds[i].state.load() != HoldState::None) s->held[w.holds[i].queue] = true;
    }
}

// Marks an entry as suspected. The mark is visible before the drop is counted (memory/users.hpp), so a process that
// looks for the entry from then on sees it.
void suspect(uint64 *drop) {
    *drop = UINT64_MAX;
    pg_memory_barrier();
    *drop = count_drop();
}

// Takes a step for an entry that processes find without a lock. Returns true if no process can have its number.
bool is_given_up(uint64 *drop, bool idle, Step *s) {
    if (!idle) {
        if (*drop != 0) *drop = 0;
        return false;
    }
    if (*drop != 0 && *drop <= s->until) return true;
    if (*drop == 0) suspect(drop);
    s->left = true;
    return false;
}

void unlink_lane(AtomicSlot *link, SlotNo no, Step *s) {
    Lane &lane = map.lanes[no];
    link->store(lane.next_of_queue.load());
    SlotNo &unlinked = database(s->db).places.unlinked_lanes;
    lane.next_active = unlinked - 1;
    unlinked = no + 1;
    pg_memory_barrier();
    lane.drop = count_drop();
    s->left = true;
}

void mark(const Lane &lane, Step *s) {
    if (lane.role >= 0) s->roles[lane.role] = true;
    s->sources[lane.source] = true;
}

void look_at_lanes(Queue *q, Step *s) {
    pg::LwLockGuard lock(namespace_lock(q->ns));
    for (AtomicSlot *link = &q->first_lane; link->load() >= 0;) {
        SlotNo no = link->load();
        Lane &lane = map.lanes[no];
        mark(lane, s);
        if (!is_dropped(*q)) {
            free_empty_lists_locked(no);
            if (is_given_up(&lane.drop, is_idle(lane, *s), s)) {
                unlink_lane(link, no, s);
                continue;
            }
        }
        link = &lane.next_of_queue;
    }
}

void unlink_source(SlotNo no) {
    const Source &source = map.sources[no];
    AtomicSlot *first = &map.roles[source.role].first_source;
    SlotNo at = first->load();
    if (at == no) {
        first->store(source.next_of_role);
        return;
    }
    while (map.sources[at].next_of_role != no) at = map.sources[at].next_of_role;
    map.sources[at].next_of_role = source.next_of_role;
}

void look_at_source(SlotNo no, Step *s) {
    Source &source = map.sources[no];
    bool ours = source.ns >= 0 && source.role >= 0 && map.roles[source.role].db == s->db;
    if (!ours || map.namespaces[source.ns].dropped.load()) return;
    if (source.drop != 0 && source.drop <= s->until) {
        source.ns = -1;
        return;
    }
    if (source.drop == 0 && !s->sources[no]) {
        unlink_source(no);
        pg_memory_barrier();
        source.drop = count_drop();
    }
    s->left = s->left || source.drop != 0;
}

void free_role(SlotNo no) {
    for (SlotNo i = 0; i < map.shared->used_sources; i++)
        if (map.sources[i].role == no) map.sources[i].ns = -1;
    map.roles[no].first_source.store(-1);
    map.roles[no].used = false;
}

}  // namespace

bool free_unlinked_lanes(SlotNo db, uint64 until) {
    SlotNo *link = &database(db).places.unlinked_lanes;
    while (*link != 0) {
        SlotNo no = *link - 1;
        Lane &lane = map.lanes[no];
        if (lane.drop > until) return true;
        *link = lane.next_active + 1;
        free_lane(no);
    }
    return false;
}

bool free_idle(SlotNo db) {
    if (state_of(db) != DbState::Ready) return false;
    Step s{db,
           put_down_until(),
           static_cast<bool *>(palloc0(static_cast<Size>(map.shared->n_roles))),
           static_cast<bool *>(palloc0(static_cast<Size>(map.shared->n_sources))),
           static_cast<bool *>(palloc0(static_cast<Size>(map.shared->n_queues))),
           false};
    mark_held(&s);
    // This follows put_down_until(): hints of processes that have put their numbers down are in lists now.
    if (!drain_inboxes(db)) return true;
    pg::LwLockGuard lock(registry_lock());
    s.left = free_unlinked_lanes(db, s.until);
    each_queue(db, [&s](SlotNo no) { look_at_lanes(&map.queues[no], &s); });
    for (SlotNo l = database(db).places.unlinked_lanes; l != 0; l = map.lanes[l - 1].next_active + 1)
        mark(map.lanes[l - 1], &s);
    for (SlotNo no = 0; no < map.shared->used_sources; no++) look_at_source(no, &s);
    for (SlotNo no = 0; no < map.shared->used_roles; no++) {
        Role &role = map.roles[no];
        if (role.used && role.db == db && is_given_up(&role.drop, !s.roles[no] && !has_workers(no), &s)) free_role(no);
    }
    return s.left;
}

}  // namespace pgqueue::dispatch
