#include "dispatch/ready_ttl.hpp"

#include "dispatch/group_sets.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/priorities.hpp"
#include "memory/page_list.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

void lower_min_dies(SlotNo db, int64 dies) {
    Atomic<int64> *least = &database(db).ready.min_dies;
    int64 seen = least->load();
    while (dies < seen && !least->compare_exchange(&seen, dies)) {
    }
}

namespace {

constexpr int64 recheck_after = 1000 * 1000;

// The bound that collected pages have until remove_ended(). A page with another bound has changed meanwhile.
constinit int64 mark = 0;

struct Collection {
    TimestampTz now;
    MayBeExpired *out;
    int n, most;
    TaskRef *refs;  // room for tasks of groups
};

void collect_page(Collection *c, SlotNo queue, PageNo no) {
    Page *p = page(no);
    for (int i = p->head; i < p->count; i++) c->out[c->n++] = {ready_ref(*p, i), no, queue, dies_unknown};
    p->min_dies = mark;
}

// Collects pages of a chain, up to `most` tasks in all. Lowers *least to the bounds of its pages.
void collect_chain(Collection *c, SlotNo queue, PageNo first, int most, int64 *least) {
    for (PageNo no = first; no != 0; no = page(no)->next) {
        const Page *p = page(no);
        if (p->head == p->count) continue;
        if (p->min_dies <= c->now && c->n + (p->count - p->head) <= most) collect_page(c, queue, no);
        *least = Min(*least, page(no)->min_dies);
    }
}

void collect_queue(Collection *c, SlotNo no, int most) {
    const Queue &q = map.queues[no];
    pg::LwLockGuard lock(namespace_lock(q.ns));
    for (SlotNo lane : lanes_of(q))
        for (SlotNo l = map.lanes[lane].first; l >= 0; l = map.priorities[l].next) {
            PageList &list = map.priorities[l].list;
            if (list.min_dies <= c->now) {
                int64 least = INT64_MAX;
                collect_chain(c, no, list.front, most, &least);
                collect_chain(c, no, list.back, most, &least);
                if (list.spilled > 0 || list.moving) {
                    least = Min(least, c->now + recheck_after);
                    list.wanted = true;
                }
                list.min_dies = least;
            }
            if (list.min_dies != INT64_MAX) lower_min_dies(q.db, list.min_dies);
        }
}

void collect_groups(Collection *c, SlotNo ns, int most) {
    int64 least = INT64_MAX;
    int n = 0;
    {
        pg::LwLockGuard lock(namespace_lock(ns));
        n = expired_in_groups_locked(ns, c->now, c->refs, most - c->n, &least);
    }
    for (int i = 0; i < n; i++) c->out[c->n++] = {c->refs[i], 0, -1, dies_unknown};
    if (least != INT64_MAX) lower_min_dies(map.namespaces[ns].db, least);
}

}  // namespace

int collect_expired(SlotNo db, TimestampTz now, MayBeExpired *out, int most) {
    static constinit uint32 calls = 0;
    Collection c{now, out, 0, most, static_cast<TaskRef *>(palloc(sizeof(TaskRef) * static_cast<Size>(most)))};
    // Never the same for two collections in a row. The clock may have been set back since the last one.
    mark = now + recheck_after != mark ? now + recheck_after : mark + 1;
    database(db).ready.min_dies.store(INT64_MAX);
    // A namespace may fill half of the room that is left. Each call begins with another queue.
    auto *limit = static_cast<int *>(palloc0(sizeof(int) * static_cast<Size>(map.shared->n_namespaces)));
    const uint32 queues = static_cast<uint32>(map.shared->used_queues), first = calls++;
    for (uint32 k = 0; k < queues; k++) {
        const auto no = static_cast<SlotNo>((first + k) % queues);
        const Queue &q = map.queues[no];
        if (!q.used || q.db != db) continue;
        if (limit[q.ns] == 0) limit[q.ns] = (most - c.n) / 2 + 1;
        const int before = c.n;
        collect_queue(&c, no, Min(most, c.n + limit[q.ns]));
        limit[q.ns] = Max(1, limit[q.ns] - (c.n - before));
    }
    pfree(limit);
    each_namespace(db, [&](SlotNo ns) { collect_groups(&c, ns, most); });
    pfree(c.refs);
    return c.n;
}

namespace {

// A page of the last collection.
struct CollectedPage {
    PageNo no;
    int64 last_id;  // of its last task
    int64 dies;     // bound for the tasks that still wait
    bool any;       // some tasks have ended
};

// The pages and tasks that remove_ended() searches for.
struct Ended {
    CollectedPage *pages;  // by number
    int n_pages;
    int64 *ids;  // in order
    int n_ids;
};

int compare_pages(const void *a, const void *b) {
    PageNo x = static_cast<const CollectedPage *>(a)->no, y = static_cast<const CollectedPage *>(b)->no;
    return (x > y) - (x < y);
}

int compare_ids(const void *a, const void *b) {
    int64 x = *static_cast<const int64 *>(a), y = *static_cast<const int64 *>(b);
    return (x > y) - (x < y);
}

bool has_ended(const Ended &e, int64 id) {
    return bsearch(&id, e.ids, static_cast<Size>(e.n_ids), sizeof(int64), compare_ids) != nullptr;
}

Ended ended_of(const MayBeExpired *tasks, int n) {
    Ended e{static_cast<CollectedPage *>(palloc(sizeof(CollectedPage) * static_cast<Size>(n))), 0,
            static_cast<int64 *>(palloc(sizeof(int64) * static_cast<Size>(n))), 0};
    for (int i = 0; i < n; i++) {
        const MayBeExpired &t = tasks[i];
        if (t.page == 0) continue;
        if (e.n_pages == 0 || e.pages[e.n_pages - 1].no != t.page) e.pages[e.n_pages++] = {t.page, 0, INT64_MAX, false};
        CollectedPage *p = &e.pages[e.n_pages - 1];
        p->last_id = t.ref.id;
        if (t.dies == 0) {
            e.ids[e.n_ids++] = t.ref.id;
            p->any = true;
        } else {
            p->dies = Min(p->dies, t.dies == dies_unknown ? mark : t.dies);
        }
    }
    qsort(e.pages, static_cast<Size>(e.n_pages), sizeof(CollectedPage), compare_pages);
    qsort(e.ids, static_cast<Size>(e.n_ids), sizeof(int64), compare_ids);
    return e;
}

// Returns the end of the collected entries of a page; 0: the page has changed, or is another page now.
int end_of_collected(const Page &p, const CollectedPage &c) {
    if (p.min_dies != mark) return 0;
    for (int i = p.count; i > p.head; i--)
        if (ready_ref(p, i - 1).id == c.last_id) return i;
    return 0;
}

// Removes the ended tasks of a collected page. Returns how many.
int compact(Page *p, const CollectedPage &c, const Ended &e) {
    const int end = end_of_collected(*p, c);
    if (end == 0) return 0;
    // Entries behind the end were added since. None of them expires before the mark, which stays the bound then.
    if (end == p->count) p->min_dies = c.dies;
    if (!c.any) return 0;
    int kept = p->head;
    for (int i = p->head; i < p->count; i++)
        if (i >= end || !has_ended(e, ready_ref(*p, i).id)) move_ready(p, kept++, i);
    const int removed = p->count - kept;
    p->count = static_cast<uint16>(kept);
    return removed;
}

// Moves the entries of a page to the end of the page before it, if there is room. Leaves pages of several priorities
// alone, because the first of these may be sorted.
void fold(Page *into, Page *p) {
    const bool same = into->kind == PageKind::Ready && p->kind == PageKind::Ready && into->priority == p->priority;
    const int n = p->count - p->head;
    if (!same || into->head == into->count || into->count + n > ready_per_page) return;
    for (int i = p->head; i < p->count; i++) put_ready(into, into->count++, ready_ref(*p, i), ready_priority(*p, i));
    into->min_dies = Min(into->min_dies, p->min_dies);
    p->head = p->count;
}

// Compacts the collected pages of a chain, and frees pages that become empty, except the last one. Returns how many
// entries it removed. Lowers *least to the bounds of the pages.
int compact_chain(PageNo *first, PageNo last, const Ended &e, int64 *least) {
    int removed = 0;
    Page *before = nullptr;
    for (PageNo *link = first; *link != 0;) {
        const PageNo no = *link;
        Page *p = page(no);
        const CollectedPage key{no, 0, 0, false};
        auto *c = static_cast<const CollectedPage *>(
            bsearch(&key, e.pages, static_cast<Size>(e.n_pages), sizeof(CollectedPage), compare_pages));
        if (c != nullptr) removed += compact(p, *c, e);
        if (c != nullptr && before != nullptr && no != last) fold(before, p);
        if (c != nullptr && p->head == p->count && no != last) {
            *link = p->next;
            give_page(no);
        } else {
            before = p;
            link = &p->next;
            if (p->head != p->count) *least = Min(*least, p->min_dies);
        }
    }
    return removed;
}

void remove_from_queue(SlotNo no, const Ended &e) {
    const Queue &q = map.queues[no];
    pg::LwLockGuard lock(namespace_lock(q.ns));
    for (SlotNo lane : lanes_of(q)) {
        for (SlotNo l = map.lanes[lane].first; l >= 0; l = map.priorities[l].next) {
            PageList &list = map.priorities[l].list;
            int64 least = list.min_dies;
            const int removed = compact_chain(&list.front, list.front_last, e, &least) +
                                compact_chain(&list.back, list.back_last, e, &least);
            if (least < list.min_dies) lower_min_dies(q.db, list.min_dies = least);
            list.count -= removed;
            if (removed > 0) change_count_locked(lane, -removed);
        }
        if (map.lanes[lane].count == 0) list_is_empty_locked(lane);
    }
}

}  // namespace

void remove_ended(const MayBeExpired *tasks, int n) {
    const Ended e = ended_of(tasks, n);
    SlotNo before = -1;
    for (int i = 0; i < n; i++) {
        if (tasks[i].page == 0 || tasks[i].queue == before) continue;
        before = tasks[i].queue;
        remove_from_queue(before, e);
    }
    pfree(e.pages);
    pfree(e.ids);
}

int64 next_expiry(SlotNo db) { return database(db).ready.min_dies.load(); }

}  // namespace pgqueue::dispatch
