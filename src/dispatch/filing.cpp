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

void append(PageChain *chain, PageNo no) {
    page(no)->next = 0;
    (chain->last != 0 ? page(chain->last)->next : chain->first) = no;
    chain->last = no;
}

// Removes the oldest page of a chain.
PageNo unlink_first(PageChain *chain) {
    const PageNo no = chain->first;
    chain->first = page(no)->next;
    if (chain->first == 0) chain->last = 0;
    return no;
}

// Appends the pages of the inbox, oldest first, to the pages that are not filed yet.
void take_inbox(Namespace *ns) {
    if (ns->inbox.load() == 0) return;
    PageNo newest = ns->inbox.exchange(0), oldest = 0;
    while (newest != 0) {
        PageNo next = page(newest)->next;
        page(newest)->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != 0) {
        PageNo next = page(oldest)->next;
        append(page(oldest)->kind == PageKind::Grouped ? &ns->handed_grouped : &ns->handed, oldest);
        oldest = next;
    }
}

// Returns whether tasks of a namespace may be filed while so many pages are free. A namespace with many lists leaves
// an eighth of the pages to others.
bool may_file(const Namespace &ns, Leave leave) {
    constexpr uint32 part = 64;
    if (leave == Leave::Nothing) return true;
    return has_many_lists(ns) ? room_for_many() : free_pages() > map.shared->pages / part;
}

// Files pages of groups, oldest first, until about `steps` steps are taken, one for each task. Returns how many are
// left.
int64 take_over_groups(Namespace *ns, int64 steps) {
    for (; ns->handed_grouped.first != 0 && steps > 0;) {
        const PageNo no = unlink_first(&ns->handed_grouped);
        steps -= page(no)->count - page(no)->head;
        take_over_grouped(no);
    }
    return steps;
}

// Files the other pages. A page of one priority counts as one step, because it mostly takes one.
Filed take_over(Namespace *ns, int64 steps, Leave leave) {
    while (ns->handed.first != 0) {
        if (steps <= 0) return Filed::Some;
        if (!may_file(*ns, leave)) return Filed::NoRoom;
        const PageNo no = ns->handed.first;
        const Page &p = *page(no);
        steps -= p.kind == PageKind::Ready ? 1 : p.count - p.head;
        if (p.kind == PageKind::Hints) {
            if (!take_over_hints(no)) return Filed::NoRoom;
            give_page(unlink_first(&ns->handed));
            continue;
        }
        unlink_first(&ns->handed);
        if (p.kind == PageKind::Due)
            take_over_due(ns->db, no);
        else
            take_over_ready(ns->db, no);
    }
    return Filed::All;
}

// Removes the tasks of dropped queues from a page that is not filed yet. Returns whether others are left.
bool sift_handed(Page *p) {
    const auto dropped = [](SlotNo lane) { return is_dropped(map.queues[map.lanes[lane].queue]); };
    if (p->kind == PageKind::Ready || p->kind == PageKind::Mixed) return !dropped(p->lane);
    uint16 kept = p->head;
    for (uint16 i = p->head; i < p->count; i++) {
        if (p->kind == PageKind::Hints && !dropped(p->hints[i].lane)) p->hints[kept++] = p->hints[i];
        if (p->kind == PageKind::Due && !dropped(p->due[i].lane)) p->due[kept++] = p->due[i];
    }
    p->count = kept;
    return p->head < p->count;
}

}  // namespace

void drain_groups_locked(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    take_inbox(&ns);
    (void)take_over_groups(&ns, INT64_MAX);
}

bool forget_dropped_locked(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    drain_groups_locked(no);
    const PageChain all = ns.handed;
    ns.handed = {};
    for (PageNo at = all.first; at != 0;) {
        const PageNo next = page(at)->next;
        sift_handed(page(at)) ? append(&ns.handed, at) : give_page(at);
        at = next;
    }
    return ns.handed.first == 0;
}

bool has_handed_over(SlotNo no) {
    const Namespace &ns = map.namespaces[no];
    return ns.inbox.load() != 0 || ns.handed.first != 0 || ns.handed_grouped.first != 0;
}

Filed drain_some(SlotNo no, Leave leave) {
    constexpr int64 steps = 4096;
    Namespace &ns = map.namespaces[no];
    if (!has_handed_over(no)) return Filed::All;
    pg::LwLockGuard lock(namespace_lock(no));
    take_inbox(&ns);
    const int64 left = take_over_groups(&ns, steps);
    if (ns.handed_grouped.first != 0) return Filed::Some;
    const Filed filed = take_over(&ns, left, leave);
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
    Namespace &ns = map.namespaces[no];
    for (PageChain *chain : {&ns.handed_grouped, &ns.handed}) {
        give_chain(chain->first);
        *chain = {};
    }
    ns.crowded.store(false);
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
