// Visits all lists of a database whose pages may be in the spill file. The scheduler only: no other process removes a
// list that has tasks.
#pragma once
#include "memory/page_list.hpp"
#include "memory/registry.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

// Returns whether a namespace has so many lists that they may leave memory as a whole.
inline bool has_many_lists(const Namespace &ns) {
    constexpr uint32 part = 64;
    return static_cast<uint32>(ns.lists) > map.shared->pages / part;
}

// A list with its lock, which is held. The lock may be released while the list is `moving`, which keeps the list in its
// place.
struct ListAt {
    PageList *list;
    LWLock *lock;
    bool far;      // no task is taken from it before another list is empty
    bool of_many;  // its namespace has many lists
};

// Calls F(const ListAt &) for the lists of a lane until it returns false. Returns false in this case. The caller holds
// the namespace lock, which is `lock`.
template <typename F>
bool each_list_of_lane(SlotNo no, LWLock *lock, F f) {
    const Lane &lane = map.lanes[no];
    bool far = false, aging = map.queues[lane.queue].aging > 0;
    const bool many = has_many_lists(map.namespaces[map.queues[lane.queue].ns]);
    for (SlotNo p = lane.first; p >= 0; p = map.priorities[p].next) {
        if (!f(ListAt{&map.priorities[p].list, lock, far && !aging, many})) return false;
        far = far || map.priorities[p].list.count > 0;
    }
    return true;
}

// Calls F(const ListAt &) for the lists of waiting tasks of a database until it returns false: the due heap, lists of
// put-off tasks, and the lists `arrived`. Returns false in this case. Takes the due lock.
template <typename F>
bool each_waiting_list(SlotNo db, F f) {
    pg::LwLockGuard guard(due_lock(db));
    for (PageList &list : database(db).due_heap.buckets)
        if (!f(ListAt{&list, due_lock(db), false, false})) return false;
    for (PageList &list : database(db).due_heap.put_off)
        if (!f(ListAt{&list, due_lock(db), false, false})) return false;
    bool more = true;
    each_namespace(db, [&](SlotNo ns) {
        more = more && f(ListAt{&map.namespaces[ns].arrived, due_lock(db), false, false});
    });
    return more;
}

// Calls F(const ListAt &) for all lists of a database until it returns false: those of waiting tasks, then the ready
// lists, from those of queue `*at` on. Then `*at` is the queue with which the next call begins. Takes the locks.
template <typename F>
void each_list(SlotNo db, SlotNo *at, F f) {
    if (!each_waiting_list(db, f)) return;
    const SlotNo queues = map.shared->used_queues;
    for (SlotNo n = 0; n < queues; n++, ++*at) {
        if (*at >= queues) *at = 0;
        const Queue &queue = map.queues[*at];
        if (!queue.used || queue.db != db) continue;
        for (SlotNo lane : lanes_of(queue)) {
            LWLock *lock = namespace_lock(queue.ns);
            pg::LwLockGuard guard(lock);
            if (each_list_of_lane(lane, lock, f)) continue;
            ++*at;
            return;
        }
    }
}

}  // namespace pgqueue::dispatch
