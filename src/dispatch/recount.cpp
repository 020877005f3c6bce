#include "dispatch/recount.hpp"

#include "dispatch/due.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/lists.hpp"
#include "memory/registry.hpp"
#include "memory/slab.hpp"

namespace pgqueue::dispatch {
namespace {

// Calls F(const Page &) for the pages of a list in memory that have tasks.
template <typename F>
void each_page(const PageList &list, F f) {
    for (PageNo first : {list.front, list.back})
        for (PageNo no = first; no != 0; no = page(no)->next)
            if (page(no)->head < page(no)->count) f(*page(no));
}

int64 tasks_of(const PageList &list) {
    int64 n = 0;
    each_page(list, [&n](const Page &p) { n += p.count - p.head; });
    return n;
}

int64 first_due(const PageList &list) {
    int64 first = INT64_MAX;
    each_page(list, [&first](const Page &p) {
        for (int i = p.head; i < p.count; i++) first = Min(first, p.due[i].due);
    });
    return first;
}

bool is_in_memory(const PageList &list) { return list.spilled == 0 && !list.moving; }

// Corrects the count of a list and its bound of dies_at. Returns whether the count was wrong.
bool recount(PageList *list) {
    if (!is_in_memory(*list)) return false;
    int64 n = tasks_of(*list);
    if (list->count == n) return false;
    list->count = n;
    each_page(*list, [list](const Page &p) { list->min_dies = Min(list->min_dies, p.min_dies); });
    return true;
}

// Counts the ready groups of each lane of a namespace, whose lock is held.
void count_ready_groups(SlotNo ns, int64 *ready) {
    each_entry<Group>(map.namespaces[ns].groups, [ready](GroupNo, const Group &g) {
        if (g.ready_in >= 0) ready[g.ready_in]++;
    });
}

// Corrects a lane and its lists. groups: how many groups are ready in the lane. Returns how many counts were wrong. The
// namespace lock is held.
int recount_lane(SlotNo no, int64 groups) {
    const Lane &lane = map.lanes[no];
    int wrong = 0;
    int64 total = groups;
    for (SlotNo p = lane.first; p >= 0; p = map.priorities[p].next) {
        PageList *list = &map.priorities[p].list;
        if (recount(list)) {
            map.priorities[p].sorted = false;
            wrong++;
        }
        total += list->count;
    }
    if (lane.count == total) return wrong;
    change_count_locked(no, total - lane.count);
    return Max(wrong, 1);
}

int recount_namespace(SlotNo ns, int64 *groups) {
    int wrong = 0;
    pg::LwLockGuard lock(namespace_lock(ns));
    count_ready_groups(ns, groups);
    each_queue(map.namespaces[ns].db, [&wrong, ns, groups](SlotNo q) {
        if (map.queues[q].ns != ns) return;
        for (SlotNo lane : lanes_of(map.queues[q])) wrong += recount_lane(lane, groups[lane]);
    });
    return wrong;
}

// Corrects lists of due entries. bounds: of each list, no entry is due before. Returns how many counts were wrong.
template <std::size_t n>
int recount_due(PageList (&lists)[n], int64 (&bounds)[n]) {
    int wrong = 0;
    for (std::size_t i = 0; i < n; i++) {
        if (!recount(&lists[i])) continue;
        bounds[i] = Min(bounds[i], first_due(lists[i]));
        wrong++;
    }
    return wrong;
}

}  // namespace

int recount_lists(SlotNo db) {
    auto *groups = static_cast<int64 *>(palloc0(sizeof(int64) * static_cast<Size>(map.shared->n_lanes)));
    int wrong = 0;
    each_namespace(db, [&wrong, groups](SlotNo ns) { wrong += recount_namespace(ns, groups); });
    pfree(groups);
    Database &d = database(db);
    pg::LwLockGuard lock(due_lock(db));
    DueHeap &heap = d.due_heap;
    each_namespace(db, [&wrong](SlotNo ns) { wrong += recount(&map.namespaces[ns].arrived); });
    return wrong + recount_due(heap.buckets, heap.least) + recount_due(heap.put_off, heap.put_off_until);
}

#ifdef PGQUEUE_TESTPOINTS
void miscount(SlotNo lane) {
    pg::LwLockGuard lock(namespace_lock(map.queues[map.lanes[lane].queue].ns));
    for (SlotNo p = map.lanes[lane].first; p >= 0; p = map.priorities[p].next) {
        change_count_locked(lane, -map.priorities[p].list.count);
        map.priorities[p].list.count = 0;
    }
}
#endif

}  // namespace pgqueue::dispatch
