// Keeps the time under the namespace lock short. The entries of the first pages are searched under the lock, later
// pages contribute only their counts. If the task is not in the first pages, the pages of its list are searched without
// a lock to find those that may have it. Their contents may change meanwhile, so these pages are searched again under
// the lock.
#include "dispatch/position.hpp"

#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

constexpr int near_pages = 256;  // searched under the lock, some 60,000 entries
constexpr int far_pages = 8192;  // searched without a lock, and counted under it
constexpr int candidates_most = 8;

struct Search {
    int64 id;
    int32 priority;
    bool everywhere;     // search every page, else only the candidates
    int most;            // pages of a chain that are read
    PageNo front, back;  // chains of the list that was too long
    PageNo candidates[candidates_most];
    int n_candidates;
};

const TaskRef &ref_of(const TaskRef &entry) { return entry; }
const TaskRef &ref_of(const MixedEntry &entry) { return entry.ref; }

template <typename Entry, Size n>
int index_among(const Entry (&entries)[n], const Page &p, int64 id) {
    const int end = Min(static_cast<int>(p.count), static_cast<int>(n));
    for (int i = p.head; i < end; i++)
        if (ref_of(entries[i]).id == id) return i - p.head;
    return -1;
}

// Returns the place of the task among the entries of a page that are still there; -1: it is not among them.
int index_in(const Page &p, int64 id) {
    return p.kind == PageKind::Mixed ? index_among(p.mixed, p, id) : index_among(p.ready, p, id);
}

bool is_ready(PageKind kind) { return kind == PageKind::Ready || kind == PageKind::Mixed; }

// Searches a chain without a lock. Another process may take its pages for something else meanwhile; then the walk goes
// astray, and ends after as many pages.
void find_candidates(PageNo no, Search *s) {
    for (int pages = 0; no != 0 && pages < s->most && s->n_candidates < candidates_most; no = page(no)->next, pages++) {
        const Page *p = page(no);
        if (is_ready(p->kind) && index_in(*p, s->id) >= 0) s->candidates[s->n_candidates++] = no;
    }
}

bool looks_into(const Search &s, PageNo no) {
    if (s.everywhere) return true;
    for (int i = 0; i < s.n_candidates; i++)
        if (s.candidates[i] == no) return true;
    return false;
}

// What a walk along a chain has found: the number of entries before the task, and of all entries of the chain.
struct Walk {
    bool found, too_long;
    int64 before, all;
};

Walk walk(PageNo no, const Search &s) {
    Walk w{};
    for (int pages = 0; no != 0; no = page(no)->next) {
        if (pages++ == s.most) {
            w.too_long = true;
            return w;
        }
        const Page *p = page(no);
        int at = !w.found && looks_into(s, no) ? index_in(*p, s.id) : -1;
        if (at >= 0) {
            w.found = true;
            w.before = w.all + at;
        }
        w.all += p->count - p->head;
    }
    return w;
}

// Counts the entries of a chain that come before the task: entries of better priority, and entries of the same priority
// that stand before it. Entries of the same priority behind it do not count.
Walk walk_range(PageNo no, const Search &s) {
    Walk w{};
    for (int pages = 0; no != 0; no = page(no)->next) {
        if (pages++ == s.most || !s.everywhere) {
            w.too_long = true;
            return w;
        }
        const Page *p = page(no);
        for (int i = p->head; i < p->count; i++) {
            if (ready_ref(*p, i).id == s.id)
                w.found = true;
            else if (int32 priority = ready_priority(*p, i);
                     priority < s.priority || (priority == s.priority && !w.found))
                w.before++;
        }
    }
    return w;
}

// Returns the place of the task in a list of several priorities.
Position position_in_range(const PageList &list, const Search &s) {
    Walk w = walk_range(list.front, s);
    if (w.too_long) return {Listed::Unknown, w.before};
    if (list.spilled != 0 || list.moving) return {Listed::InFile, 0};
    return {w.found ? Listed::Yes : Listed::No, w.before};
}

Position position_in(const PageList &list, const Search &s) {
    Walk front = walk(list.front, s);
    if (front.found) return {Listed::Yes, front.before};
    if (front.too_long) return {Listed::Unknown, front.all};
    if (list.spilled == 0 && !list.moving) return {Listed::No, 0};
    Walk back = walk(list.back, s);
    if (back.found && !back.too_long) return {Listed::Yes, Max(list.count - back.all, 0) + back.before};
    if (back.too_long) return {Listed::Unknown, front.all};
    return {Listed::InFile, front.all};
}

SlotNo lane_of(SlotNo queue, SlotNo role) {
    for (SlotNo lane : lanes_of(map.queues[queue]))
        if (map.lanes[lane].role == role && !map.lanes[lane].held) return lane;
    return -1;
}

Position search_lane(SlotNo lane, Search *s) {
    pg::LwLockGuard lock(namespace_lock(map.queues[map.lanes[lane].queue].ns), LW_SHARED);
    int64 better = 0;
    for (SlotNo l = map.lanes[lane].first; l >= 0; l = map.priorities[l].next) {
        const PriorityList &p = map.priorities[l];
        if (p.range.has(s->priority)) {
            Position at = p.range.one() ? position_in(p.list, *s) : position_in_range(p.list, *s);
            if (at.listed == Listed::Unknown) {
                s->front = p.list.front;
                s->back = p.list.back;
            }
            at.ahead += better;
            if (at.listed != Listed::No || p.parts == 0) return at;
        }
        if (p.range.from > s->priority) break;
        better += p.list.count;
    }
    return {};
}

}  // namespace

Position find_position(SlotNo queue, SlotNo role, int32 priority, int64 id) {
    SlotNo lane = lane_of(queue, role);
    if (lane < 0) return {};
    Search s{id, priority, true, near_pages, 0, 0, {}, 0};
    Position at = search_lane(lane, &s);
    if (at.listed != Listed::Unknown) return at;
    s.everywhere = false;
    s.most = far_pages;
    find_candidates(s.front, &s);
    find_candidates(s.back, &s);
    return search_lane(lane, &s);
}

bool is_popped(SlotNo db, int64 id) {
    for (WorkerSlot &w : map.shared->workers) {
        if (w.db != db || w.state.load() != WorkerState::Busy) continue;
        for (int i = 0; i < Min(w.n_holds.load(), max_batch); i++) {
            auto state = w.holds[i].state.load();
            if ((state == HoldState::Popped || state == HoldState::Claimed) && w.holds[i].ref.id == id) return true;
        }
    }
    return false;
}

}  // namespace pgqueue::dispatch
