#include "dispatch/lanes.hpp"

#include "dispatch/limits.hpp"
#include "dispatch/priorities.hpp"
#include "dispatch/ready_ttl.hpp"
#include "dispatch/spill.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

void activate_locked(SlotNo no) {
    Lane &lane = map.lanes[no];
    if (lane.active) return;
    Source &source = map.sources[lane.source];
    Namespace &ns = map.namespaces[source.ns];
    if (source.ready.load() == 0)
        ns.virtual_time = rejoined_virtual_time(ns.virtual_time, database(ns.db).ready.virtual_time);
    lane.prev_active = -1;
    lane.next_active = source.first_active;
    if (source.first_active >= 0) map.lanes[source.first_active].prev_active = no;
    source.first_active = no;
    lane.active = true;
    source.ready.fetch_add(lane.count);
}

void deactivate_locked(SlotNo no) {
    Lane &lane = map.lanes[no];
    if (!lane.active) return;
    Source &source = map.sources[lane.source];
    if (lane.prev_active >= 0)
        map.lanes[lane.prev_active].next_active = lane.next_active;
    else
        source.first_active = lane.next_active;
    if (lane.next_active >= 0) map.lanes[lane.next_active].prev_active = lane.prev_active;
    lane.next_active = lane.prev_active = -1;
    lane.active = false;
    source.ready.fetch_sub(lane.count);
}

void change_count_locked(SlotNo no, int64 by) {
    Lane &lane = map.lanes[no];
    Queue &q = map.queues[lane.queue];
    lane.count += by;
    q.hinted.fetch_add(by);
    if (lane.active) map.sources[lane.source].ready.fetch_add(by);
    if (lane.count > 0 && !lane.active && !lane.held && may_run(q)) activate_locked(no);
    if (by > 0 && lane.role < 0 && !q.unnotified.load()) {
        q.unnotified.store(true);
        database(q.db).waiters.unnotified.store(true);
    }
    if (lane.count == 0) deactivate_locked(no);
}

void empty_lists_locked(const Queue &q) {
    for (SlotNo no : lanes_of(q)) {
        for (SlotNo p = map.lanes[no].first; p >= 0; p = map.priorities[p].next) {
            change_count_locked(no, -map.priorities[p].list.count);
            give_file_places(q.db, &map.priorities[p].list);
        }
        free_lists_locked(no);
    }
}

int take_lists_apart(SlotNo db) {
    constexpr int most = 64;
    if (!database(db).ready.taken_apart.exchange(false)) return 0;
    int steps = 0;
    bool all = true;
    each_queue(db, [&steps, &all](SlotNo q) {
        for (SlotNo lane : lanes_of(map.queues[q])) {
            Front f = map.lanes[lane].taken_apart ? Front::Tasks : Front::None;
            while (f == Front::Tasks && steps < most) {
                pg::LwLockGuard lock(namespace_lock(map.queues[q].ns));
                f = take_apart_locked(lane);
                steps += f == Front::Tasks ? 1 : 0;
            }
            all = all && f == Front::None;
        }
    });
    if (!all) database(db).ready.taken_apart.store(true);
    return steps;
}

SlotNo outside_lane(SlotNo queue) {
    for (SlotNo lane : lanes_of(map.queues[queue]))
        if (map.lanes[lane].role < 0) return lane;
    return -1;
}

void revise_queue_locked(SlotNo no) {
    Queue &q = map.queues[no];
    if (has_room(q)) q.blocked.store(false);
    for (SlotNo lane : lanes_of(q)) {
        if (may_run(q) && map.lanes[lane].count > 0 && !map.lanes[lane].held)
            activate_locked(lane);
        else
            deactivate_locked(lane);
    }
}

void revise_namespace_locked(SlotNo ns) { map.namespaces[ns].blocked.store(false); }

void clear_ready(SlotNo db) {
    each_queue(db, [](SlotNo no) {
        Queue &q = map.queues[no];
        pg::LwLockGuard lock(namespace_lock(q.ns));
        for (SlotNo lane : lanes_of(q)) {
            deactivate_locked(lane);
            free_lists_locked(lane);
            map.lanes[lane].count = 0;
        }
        q.hinted.store(0);
        q.rows_decide = false;
    });
    database(db).ready.min_dies.store(INT64_MAX);
}

}  // namespace pgqueue::dispatch
