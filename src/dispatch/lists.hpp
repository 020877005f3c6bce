// All lists of a database whose pages may be in the spill file. The scheduler only: nobody else takes lists away.
#pragma once
#include "dispatch/page_list.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

// Visits each with the lock that owns it: F is bool(PageList *, LWLock *), false ends.
template <typename F>
void each_list(SlotNo db, F f) {
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        Queue &queue = map.queues[q];
        if (!queue.used || queue.db != db) continue;
        for (uint32 l = pg_atomic_read_u32(&queue.first_lane); l != 0; l = pg_atomic_read_u32(&map.lanes[l - 1].next_of_queue)) {
            LWLock *lock = namespace_lock(queue.ns);
            // Only this process takes priorities' pages away in the middle; their chain is read under the lock.
            for (int i = 0;; i++) {
                PageList *list = nullptr;
                {
                    pg::LwLockGuard guard(lock);
                    SlotNo p = map.lanes[l - 1].first;
                    for (int k = 0; k < i && p >= 0; k++) p = map.priorities[p].next;
                    if (p >= 0) list = &map.priorities[p].list;
                }
                if (list == nullptr) break;
                if (!f(list, lock)) return;
            }
        }
    }
    for (PageList &list : database(db).due)
        if (!f(&list, due_lock(db))) return;
    for (PageList &list : database(db).put_off)
        if (!f(&list, due_lock(db))) return;
}

}  // namespace pgqueue::dispatch
