#include "dispatch/expiry.hpp"

#include "dispatch/group_sets.hpp"
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

// Copies the entries of pages whose time is over; such a page is looked at again a second later, when something is
// still in it.
int expired_of_chain(PageNo first, TimestampTz now, TaskRef *out, int most, int64 *least) {
    int n = 0;
    for (PageNo no = first; no != 0; no = page(no)->next) {
        Page *p = page(no);
        if (p->head == p->count) continue;
        if (p->min_dies <= now && n + (p->count - p->head) <= most) {
            for (int i = p->head; i < p->count; i++) out[n++] = ready_ref(*p, i);
            p->min_dies = now + recheck_after;
        }
        *least = Min(*least, p->min_dies);
    }
    return n;
}

}  // namespace

int collect_expired(SlotNo db, TimestampTz now, TaskRef *out, int most) {
    int n = 0;
    database(db).ready.min_dies.store(INT64_MAX);
    for (SlotNo no = 0; no < map.shared->used_queues; no++) {
        Queue &q = map.queues[no];
        if (!q.used || q.db != db) continue;
        pg::LwLockGuard lock(namespace_lock(q.ns));
        for (SlotNo lane : lanes_of(q))
            for (SlotNo p = map.lanes[lane].first; p >= 0; p = map.priorities[p].next) {
                PageList &list = map.priorities[p].list;
                if (list.min_dies <= now) {
                    int64 least = INT64_MAX;
                    n += expired_of_chain(list.front, now, out + n, most - n, &least);
                    n += expired_of_chain(list.back, now, out + n, most - n, &least);
                    if (list.spilled > 0 || list.moving) least = Min(least, now + recheck_after);
                    list.min_dies = least;
                }
                if (list.min_dies != INT64_MAX) lower_min_dies(db, list.min_dies);
            }
    }
    each_namespace(db, [&](SlotNo ns) {
        pg::LwLockGuard lock(namespace_lock(ns));
        int64 least = INT64_MAX;
        n += expired_in_groups_locked(ns, now, out + n, most - n, &least);
        if (least != INT64_MAX) lower_min_dies(db, least);
    });
    return n;
}

int64 next_expiry(SlotNo db) { return database(db).ready.min_dies.load(); }

}  // namespace pgqueue::dispatch
