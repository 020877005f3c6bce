#include "dispatch/survey.hpp"

#include "dispatch/group_entries.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/spill.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

constexpr int lists_most = 64;  // of a lane; those of the best priorities

// Returns the first page of a chain that has tasks; 0: there is none.
PageNo first_page(PageNo no) {
    while (no != 0 && page(no)->head >= page(no)->count) no = page(no)->next;
    return no;
}

int64 earlier(int64 a, int64 b) { return a == 0 || (b != 0 && b < a) ? b : a; }

// Adds a task in the place of its time. The one that has waited least gives way.
void add_first(FirstLook *look, const TaskRef &ref, int64 since) {
    constexpr int most = lengthof(look->refs);
    if (look->n_refs == most && look->times[most - 1] <= since) return;
    int i = look->n_refs < most ? look->n_refs++ : most - 1;
    for (; i > 0 && look->times[i - 1] > since; i--) {
        look->refs[i] = look->refs[i - 1];
        look->times[i] = look->times[i - 1];
    }
    look->refs[i] = ref;
    look->times[i] = since;
}

// Adds the first task of a list, or since when it waits in the file.
void add_first_of(FirstLook *look, const PageList &list) {
    PageNo no = first_page(list.front);
    if (no == 0 && list.spilled > 0) {
        look->in_file_since = earlier(look->in_file_since, first_since_in_file(list));
        return;
    }
    if (no == 0) no = first_page(list.back);
    if (no != 0) add_first(look, ready_ref(*page(no), page(no)->head), page(no)->since);
}

// Adds the first tasks of a lane. Returns how many lists were read.
int add_first_of_lane(FirstLook *look, SlotNo no) {
    const Lane &lane = map.lanes[no];
    if (GroupNo best = best_group_locked(no); best != 0) {
        const GroupNode &head = *slab_entry<GroupNode>(group(best).first);
        add_first(look, head.ref, head.since);
    }
    int lists = 0;
    for (SlotNo p = lane.first; p >= 0 && lists < lists_most; p = map.priorities[p].next, lists++)
        add_first_of(look, map.priorities[p].list);
    return lists;
}

}  // namespace

void look_at_first(SlotNo queue, SlotNo role, FirstLook *look) {
    begin_use();
    *look = {};
    pg::LwLockGuard lock(namespace_lock(map.queues[queue].ns), LW_SHARED);
    for (SlotNo no : lanes_of(map.queues[queue]))
        if (role == every_role ? !map.lanes[no].held : map.lanes[no].role == role) add_first_of_lane(look, no);
}

namespace {

// Reads a queue. Returns how many lists were read. The namespace lock is held.
int survey_locked(SlotNo no, QueueSurvey *out) {
    const Queue &q = map.queues[no];
    int lists = 0;
    FirstLook first{};
    *out = {};
    out->queue = no;
    for (SlotNo l : lanes_of(q)) {
        const Lane &lane = map.lanes[l];
        lists++;
        if (lane.count == 0) continue;
        out->held = out->held || lane.held;
        if (lane.held) continue;
        out->ready += lane.count;
        out->outside += lane.role == -1 ? lane.count : 0;
        lists += add_first_of_lane(&first, l);
    }
    out->full = !has_room(q);
    out->ns_full = !has_room(map.namespaces[q.ns]);
    out->throttled = q.rate_limit > 0 && q.bucket.tokens < 1 && q.bucket.next(q.rate_limit) > pg::monotonic_now();
    out->since = first.in_file_since;
    for (int i = 0; i < first.n_refs; i++) out->since = earlier(out->since, first.times[i]);
    return lists;
}

bool is_wanted(SlotNo no, SlotNo db, const bool *wanted) {
    const Queue &q = map.queues[no];
    return q.used && q.db == db && !is_dropped(q) && wanted[q.ns];
}

}  // namespace

int survey_queues(SlotNo db, const bool *wanted, QueueSurvey *out, int most) {
    constexpr int lists_in_a_hold = 1000;
    begin_use();
    int n = 0;
    for (SlotNo no = 0; no < map.shared->used_queues && n < most;) {
        if (!is_wanted(no, db, wanted)) {
            no++;
            continue;
        }
        const SlotNo ns = map.queues[no].ns;
        pg::LwLockGuard lock(namespace_lock(ns), LW_SHARED);
        for (int lists = 0; no < map.shared->used_queues && n < most && lists < lists_in_a_hold; no++) {
            if (!is_wanted(no, db, wanted)) continue;
            if (map.queues[no].ns != ns) break;
            lists += survey_locked(no, &out[n++]);
        }
    }
    return n;
}

}  // namespace pgqueue::dispatch
