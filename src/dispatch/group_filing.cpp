#include "dispatch/group_filing.hpp"

#include "dispatch/due.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/group_entries.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/ready_ttl.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

namespace {

// Makes the scheduler read the row of a task of a group, at a time of the calendar or after a wait. Returns false if
// there is no memory.
bool look_at(SlotNo queue, const DueEntry &entry, Wait wait) {
    SlotNo db = map.queues[queue].db;
    bool ok = wait != Wait::None ? put_off(db, wait, entry) : add_due(db, entry);
    if (wait == Wait::None) wake_scheduler_at(db, entry.due);
    return ok;
}

}  // namespace

void set_timer(Group *g, TimestampTz due, Wait wait) {
    if (g->timed) return;
    g->timed = true;
    const GroupNode &head = node(g->first);
    DueEntry entry{due, head.dies, head.ref, grouped_due(g->queue), head.priority};
    if (!look_at(g->queue, entry, wait)) database(map.queues[g->queue].db).reading.lost.store(Lost::Full);
}

namespace {

int64 since_of(const Hint &h, const Queue &q) {
    if (h.wait != Wait::None) return pg::monotonic_now() + length_of(h.wait);
    if (h.due != 0) return pg::this_moment().to_monotonic(h.due);
    return q.aging > 0 ? pg::monotonic_now() : 0;
}

// Copies a hint to the node of its task, counts the task in its lane, and lowers the bounds of dies_at.
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
    lower_min_dies(q.db, h.dies);
}

// Links a node into its group. A task that was never taken goes behind the others. A task that was taken before goes in
// front of these; tasks that were taken before are in the order of their ids.
void link_node(Group *g, int32 no) {
    GroupNode &n = node(no);
    int32 *link = &g->first;
    if (g->last != 0 && !n.again)
        link = &node(g->last).next;
    else
        while (*link != 0 && n.again && node(*link).again && node(*link).ref.id < n.ref.id) link = &node(*link).next;
    n.next = *link;
    *link = no;
    if (n.next == 0) g->last = no;
}

// Sets the timer of a new head if its hint says that it waits, and updates the group.
void settle_new_head(GroupNo no, const Hint &h, bool wake) {
    Group &g = group(no);
    g.timed = false;
    bool waits = h.due != 0 || h.wait != Wait::None;
    if (waits) set_timer(&g, h.due, h.wait);
    update_readiness(no, wake);
}

// Updates the head of the group with a new hint. Returns false if another task is the head.
bool refresh_head(GroupNo no, const Hint &h, bool wake) {
    Group &g = group(no);
    if (g.first == 0 || node(g.first).ref.id != h.ref.id) return false;
    make_unready(no);
    map.lanes[node(g.first).lane].grouped--;
    fill(g.first, h, map.queues[g.queue]);
    settle_new_head(no, h, wake);
    return true;
}

// Returns whether a task waits outside its group. With policy pass it does, so that the other tasks continue meanwhile.
bool waits_outside(const Hint &h, const Queue &q) {
    return q.group_pass && (h.wait != Wait::None || (h.due != 0 && h.due > GetCurrentTimestamp()));
}

// Leaves a task in its row until the scheduler reads it. Only its dies_at gets an entry in the due heap. Returns false
// if there is no memory for this entry.
bool leave_out(const Hint &h, SlotNo queue) {
    Namespace &ns = map.namespaces[map.queues[queue].ns];
    ns.groups_missed = Min(ns.groups_missed, h.ref.id);
    return h.dies == 0 || look_at(queue, {h.dies, h.dies, h.ref, grouped_due(queue), h.priority}, Wait::None);
}

// Records that a task found no room. From this task on, all tasks stay in their rows.
void run_short(Namespace *ns, int64 id) {
    ns->groups_upto = Min(ns->groups_upto, id - 1);
    if (!ns->groups_blocked) wake_scheduler(ns->db);
    ns->groups_short = ns->groups_blocked = true;
}

bool put_into_group(const Hint &h, const Queue &q, SlotNo queue, bool wake) {
    GroupNo no = group_of_locked(queue, h.group);
    if (no != 0 && refresh_head(no, h, wake)) return true;
    // The task keeps its place. Only its dies_at may be new, so it gets an entry in the due heap.
    if (h.arrival == Arrival::InPlace && !q.group_pass)
        return h.dies == 0 || look_at(queue, {h.dies, h.dies, h.ref, grouped_due(queue), h.priority}, Wait::None);
    Namespace &ns = map.namespaces[q.ns];
    bool held = h.arrival == Arrival::InFront;  // it was in the group, whose order needs it
    if (!held && h.ref.id > ns.groups_upto) return leave_out(h, queue);
    if (waits_outside(h, q)) return look_at(queue, {h.due, h.dies, h.ref, grouped_due(queue), h.priority}, h.wait);
    if (no == 0) no = make_group(queue, h.group, held);
    int32 made = no != 0 ? take_node(&ns, held) : 0;
    if (made == 0) {
        if (no != 0) free_when_empty(no);
        run_short(&ns, h.ref.id);
        return leave_out(h, queue);
    }
    Group &g = group(no);
    GroupNode &n = node(made);
    fill(made, h, q);
    n.again = h.arrival == Arrival::InFront;
    link_node(&g, made);
    if (g.first == made) settle_new_head(no, h, wake);
    return true;
}

}  // namespace

void file_in_group(const Hint &h, bool wake) {
    SlotNo queue = map.lanes[h.lane].queue;
    const Queue &q = map.queues[queue];
    if (is_dropped(q)) return;
    if (!put_into_group(h, q, queue, wake)) database(q.db).reading.lost.store(Lost::Full);
}

void file_grouped_locked(const Hint &hint) { file_in_group(hint, false); }

void file_grouped(const Hint &hint) {
    SlotNo ns = map.queues[map.lanes[hint.lane].queue].ns;
    pg::LwLockGuard lock(namespace_lock(ns));
    // Hints that were handed over before come first, unless this task was taken before.
    if (hint.arrival != Arrival::InFront) drain_groups_locked(ns);
    file_in_group(hint, true);
}

void leave_out_from(SlotNo no, int64 id) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(namespace_lock(no));
    ns.groups_upto = Min(ns.groups_upto, id - 1);
    ns.groups_missed = Min(ns.groups_missed, id);
    wake_scheduler(ns.db);
}

bool wants_reading(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    if (ns.groups_upto == INT64_MAX) return false;
    if (ns.groups_blocked) {
        pg::LwLockGuard lock(namespace_lock(no));
        ns.groups_blocked = !has_group_room(ns);
    }
    return !ns.groups_blocked;
}

int64 begin_reading(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(namespace_lock(no));
    drain_groups_locked(no);
    ns.groups_missed = INT64_MAX;
    return ns.groups_upto;
}

void end_reading(SlotNo no, int64 upto, std::span<const Hint> hints) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(namespace_lock(no));
    drain_groups_locked(no);
    int64 before = ns.groups_upto;
    // A task that was left out since begin_reading() may not have been read.
    int64 limit = ns.groups_missed == INT64_MAX ? upto : Min(upto, ns.groups_missed - 1);
    if (limit <= before) return;
    ns.groups_upto = limit;
    for (const Hint &h : hints)
        if (h.ref.id > before && h.ref.id <= ns.groups_upto) file_in_group(h, true);
    if (ns.groups_upto == INT64_MAX) ns.groups_short = false;
}

}  // namespace pgqueue::dispatch
