#include "dispatch/hint_ids.hpp"

#include "dispatch/lists.hpp"
#include "dispatch/spill.hpp"
#include "memory/registry.hpp"
#include "memory/slab.hpp"

namespace pgqueue::dispatch {
namespace {

int compare_ids(const void *a, const void *b) {
    int64 x = *static_cast<const int64 *>(a), y = *static_cast<const int64 *>(b);
    return (x > y) - (x < y);
}

// Counts ids without room, too. The caller then sees count > room.
void add(HintIds *out, int64 id) {
    if (!out->wants(id)) return;
    if (out->count < out->room) out->ids[out->count] = id;
    out->count++;
}

void add_page(void *out, const Page &p) {
    auto *ids = static_cast<HintIds *>(out);
    for (int i = p.head; i < p.count; i++) add(ids, p.kind == PageKind::Due ? p.due[i].ref.id : ready_ref(p, i).id);
}

void add_chain(HintIds *out, PageNo no) {
    for (; no != 0; no = page(no)->next) add_page(out, *page(no));
}

// Pages in the file stay there meanwhile, because only this process moves them.
bool add_lists(SlotNo db, HintIds *out) {
    bool ok = true;
    SlotNo first = 0;
    each_list(db, &first, [&](const ListAt &at) {
        if (at.list->spilled > 0) {
            LWLockRelease(at.lock);
            ok = read_spilled(db, *at.list, add_page, out);
            LWLockAcquire(at.lock, LW_EXCLUSIVE);
        }
        add_chain(out, at.list->front);
        add_chain(out, at.list->back);
        return ok;
    });
    return ok;
}

void add_groups(SlotNo db, HintIds *out) {
    each_namespace(db, [out](SlotNo ns) {
        pg::LwLockGuard guard(namespace_lock(ns), LW_SHARED);
        each_entry<GroupNode>(map.namespaces[ns].group_nodes, [out](int32, const GroupNode &n) { add(out, n.ref.id); });
    });
}

// Calls F(const TaskRef &, SlotNo queue) for each task that a worker or a session has popped or holds.
template <typename F>
void each_held(SlotNo db, F f) {
    for (const WorkerSlot &w : map.shared->workers) {
        if (w.db != db) continue;
        int n = Min(w.n_holds.load(), max_batch);
        for (int i = 0; i < n; i++)
            if (w.holds[i].state.load() != HoldState::None) f(w.holds[i].ref, w.holds[i].queue);
    }
    for (SlotNo no = 0; no < map.shared->n_leases; no++) {
        const Lease &l = map.leases[no];
        auto state = l.state.load();
        bool holds = state == LeaseState::Popped || state == LeaseState::Held;
        if (holds && l.queue >= 0 && l.queue < map.shared->n_queues && map.queues[l.queue].db == db) f(l.ref, l.queue);
    }
}

}  // namespace

bool HintIds::has(int64 id) const { return bsearch(&id, ids, count, sizeof(int64), compare_ids) != nullptr; }

Size hint_count(SlotNo db) {
    int64 sum = 0;
    each_queue(db, [&sum](SlotNo q) { sum += map.queues[q].hinted.load(); });
    return static_cast<Size>(sum);
}

bool collect_hints(SlotNo db, HintIds *out) {
    out->count = 0;
    if (!add_lists(db, out)) return false;
    add_groups(db, out);
    // Holders come last: a task that is popped meanwhile is found there.
    each_held(db, [out](const TaskRef &ref, SlotNo) { add(out, ref.id); });
    if (out->count > out->room) return false;
    qsort(out->ids, out->count, sizeof(int64), compare_ids);
    return true;
}

void count_held(SlotNo db, int32 *held) {
    memset(held, 0, sizeof(int32) * static_cast<Size>(map.shared->n_queues));
    each_held(db, [held](const TaskRef &, SlotNo queue) { held[queue]++; });
}

void count_places(SlotNo db, PlacesLook *places) {
    memset(places, 0, sizeof(PlacesLook) * static_cast<Size>(map.shared->n_queues));
    each_namespace(db, [places](SlotNo ns) {
        pg::LwLockGuard guard(namespace_lock(ns), LW_SHARED);
        each_entry<Group>(map.namespaces[ns].groups,
                          [places](GroupNo, const Group &g) { places[g.queue].in_groups += g.running; });
    });
    each_queue(db, [places](SlotNo q) { places[q].running = map.queues[q].running.load(); });
}

}  // namespace pgqueue::dispatch
