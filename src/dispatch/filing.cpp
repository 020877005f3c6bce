#include "dispatch/filing.hpp"

#include "dispatch/due.hpp"
#include "dispatch/group_filing.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/lists.hpp"
#include "dispatch/priorities.hpp"
#include "dispatch/ready_ttl.hpp"
#include "dispatch/waiters.hpp"
#include "memory/users.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
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

// Appends a task to its lane. since: when it became ready (monotonic), 0 now. Returns false if there is no memory.
bool add_ready_locked(const Hint &h, int64 since) {
    const SlotNo queue = map.lanes[h.lane].queue;
    if (is_dropped(map.queues[queue])) return true;
    if (!push_task_locked(h.lane, h.priority, h.ref, h.dies, since)) return false;
    if (h.dies != 0) lower_min_dies(map.queues[queue].db, h.dies);
    change_count_locked(h.lane, 1);
    return true;
}

// Files the tasks of a page with several lanes. Returns false if there is no memory: the others stay in the page.
bool take_over_hints(PageNo no) {
    Page *p = page(no);
    for (; p->head < p->count; p->head++)
        if (!add_ready_locked(p->hints[p->head], p->since)) return false;
    return true;
}

void take_over_grouped(PageNo no) {
    Page *p = page(no);
    for (int i = p->head; i < p->count; i++) file_grouped_locked(p->hints[i]);
    give_page(no);
}

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

// Removes the oldest page from those that are not filed yet.
void unlink_handed(Namespace *ns) {
    ns->handed = page(ns->handed)->next;
    if (ns->handed == 0) ns->handed_last = 0;
}

// Returns whether tasks of a namespace may be filed while so many pages are free. A namespace with many lists leaves
// an eighth of the pages to others.
bool may_file(const Namespace &ns, Leave leave) {
    constexpr uint32 part = 64;
    if (leave == Leave::Nothing) return true;
    return has_many_lists(ns) ? room_for_many() : free_pages() > map.shared->pages / part;
}

// Files pages, oldest first, until about `steps` steps are taken. A page of one priority counts as one step, because it
// mostly takes one. Any other page counts as one step for each task.
Filed take_over(Namespace &ns, int64 steps, Leave leave) {
    while (ns.handed != 0) {
        if (steps <= 0) return Filed::Some;
        if (!may_file(ns, leave)) return Filed::NoRoom;
        const PageNo first = ns.handed;
        const Page *p = page(first);
        const PageKind kind = p->kind;
        steps -= kind == PageKind::Ready ? 1 : p->count - p->head;
        if (kind == PageKind::Hints) {
            if (!take_over_hints(first)) return Filed::NoRoom;
            unlink_handed(&ns);
            give_page(first);
            continue;
        }
        unlink_handed(&ns);
        switch (kind) {
            case PageKind::Ready:
            case PageKind::Mixed: take_over_ready(ns.db, first); break;
            case PageKind::Grouped: take_over_grouped(first); break;
            default: take_over_due(ns.db, first);
        }
    }
    return Filed::All;
}

}  // namespace

void drain_inbox_locked(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    take_inbox(&ns);
    (void)take_over(ns, INT64_MAX, Leave::Nothing);
    ns.crowded.store(false);
}

bool has_handed_over(SlotNo no) { return map.namespaces[no].inbox.load() != 0 || map.namespaces[no].handed != 0; }

Filed drain_some(SlotNo no, Leave leave) {
    constexpr int64 steps = 4096;
    Namespace &ns = map.namespaces[no];
    if (!has_handed_over(no)) return Filed::All;
    pg::LwLockGuard lock(namespace_lock(no));
    take_inbox(&ns);
    const Filed filed = take_over(ns, steps, leave);
    ns.crowded.store(filed == Filed::NoRoom);
    return filed;
}

void drain_inbox(SlotNo ns) {
    while (drain_some(ns) == Filed::Some) {
    }
}

bool drain_inboxes(SlotNo db, Leave leave) {
    constexpr int most_rounds = 4;
    Filed all = Filed::Some;
    for (int round = 0; round < most_rounds && all == Filed::Some; round++) {
        bool some = false, room = true;
        each_namespace(db, [&](SlotNo ns) {
            const Filed filed = drain_some(ns, leave);
            some = some || filed == Filed::Some;
            room = room && filed != Filed::NoRoom;
        });
        all = some ? Filed::Some : room ? Filed::All : Filed::NoRoom;
    }
    return all == Filed::All;
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
    map.namespaces[no].crowded.store(false);
}

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
        if (!add_ready_locked(h, 0)) lose(db);
    }
}

}  // namespace pgqueue::dispatch
