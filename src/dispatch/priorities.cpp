#include "dispatch/priorities.hpp"

#include "memory/pool.hpp"

namespace pgqueue::dispatch {
namespace {

// A lane with own_lists lists files a further priority in the list of a neighbour if that has less than a page of
// tasks. A lane has at most most_lists lists. Beyond few_lists, lists are created only while all lists take less than a
// quarter of the pool; below, while they take less than three quarters.
constexpr int few_lists = 8, own_lists = 64, most_lists = 256;
constexpr int most_parts = 64;
constexpr int pages_at_once = 8;
// A list of a range that is not longer than this is taken apart by the process whose task makes it longer than a page.
constexpr int64 short_list = 3 * mixed_per_page;

PriorityList &at(SlotNo no) { return map.priorities[no]; }

// Returns whether the list has no tasks and the scheduler does not work on it.
bool is_unused(const PriorityList &p) {
    return p.list.count == 0 && p.list.spilled == 0 && !p.list.moving && p.parts == 0;
}

PageKind kind_for(const PriorityList &p) { return p.range.one() ? PageKind::Ready : PageKind::Mixed; }

// Each list has a page at least, so a namespace has its part of the pages that lists may have, too.
bool has_room(const Lane &lane) {
    const Namespace &ns = map.namespaces[map.queues[lane.queue].ns];
    const int64 most = map.shared->pages / (lane.lists < few_lists ? 2 : 4);
    const int64 used = map.shared->n_priorities - free_priorities();
    return ns.lists < Min(share_of_lists(ns), share_limit(0, ns.lists, Max(most - used, 0)));
}

// Creates a list and links it. Returns -1 if no entry is free.
SlotNo make_list(Lane *lane, SlotNo *link, const PriorityRange &range) {
    SlotNo made = take_priority();
    if (made < 0) return -1;
    PriorityList &p = at(made);
    p.range = range;
    p.sorted = false;
    p.parts = 0;
    init_list(&p.list);
    p.next = *link;
    *link = made;
    lane->lists++;
    map.namespaces[map.queues[lane->queue].ns].lists++;
    return made;
}

// Unlinks and frees the list to which a link leads.
void free_list(Lane *lane, SlotNo *link) {
    SlotNo no = *link;
    *link = at(no).next;
    clear_list(&at(no).list);
    give_priority(no);
    lane->lists--;
    map.namespaces[map.queues[lane->queue].ns].lists--;
}

// The place of a priority in a lane.
struct Spot {
    SlotNo before;  // the list before, -1 none
    SlotNo *link;   // leads to the list that has the priority, or to the first one behind it
};

Spot find_spot(Lane *lane, int32 priority) {
    Spot s{-1, &lane->first};
    while (*s.link >= 0 && at(*s.link).range.to < priority) {
        s.before = *s.link;
        s.link = &at(s.before).next;
    }
    return s;
}

// Returns the shorter one of two neighbours; -1: there is none.
SlotNo shorter(SlotNo a, SlotNo b) {
    if (a < 0 || b < 0) return a < 0 ? b : a;
    return at(a).list.count <= at(b).list.count ? a : b;
}

PriorityList *widen(SlotNo no, int32 priority) {
    at(no).range.widen(priority);
    at(no).sorted = false;
    return &at(no);
}

// Returns a list for a priority that has none: a new list, or a neighbour whose range is widened.
PriorityList *add_list(Lane *lane, Spot spot, int32 priority) {
    SlotNo neighbour = shorter(spot.before, *spot.link);
    bool joins = neighbour >= 0 && lane->lists >= own_lists && at(neighbour).list.count < mixed_per_page;
    if (!joins && (neighbour < 0 || (lane->lists < most_lists && has_room(*lane))))
        if (SlotNo made = make_list(lane, spot.link, {priority, priority}); made >= 0) return &at(made);
    return neighbour >= 0 ? widen(neighbour, priority) : nullptr;
}

}  // namespace

int64 share_of_lists(const Namespace &ns) { return share_limit(ns.shares.priorities, ns.lists, free_priorities()); }

PriorityList *list_for_locked(SlotNo no, int32 priority) {
    Lane &lane = map.lanes[no];
    Spot spot = find_spot(&lane, priority);
    if (*spot.link >= 0 && at(*spot.link).range.has(priority)) {
        PriorityList *p = &at(*spot.link);
        if (is_unused(*p)) p->range = {priority, priority};
        return p;
    }
    if (lane.lists >= own_lists || (lane.lists > 0 && !has_room(lane))) {
        free_empty_lists_locked(no);
        spot = find_spot(&lane, priority);
    }
    return add_list(&lane, spot, priority);
}

namespace {

// The parts of a list, by the number of the part; -1 none.
struct Parts {
    SlotNo of[most_parts];
};

Parts parts_of(const PriorityList &whole) {
    Parts parts;
    for (SlotNo &no : parts.of) no = -1;
    for (SlotNo no = whole.next; no >= 0 && at(no).range.from <= whole.split.to; no = at(no).next) {
        int last = whole.split.part_of(at(no).range.to, whole.parts);
        for (int i = whole.split.part_of(at(no).range.from, whole.parts); i <= last; i++) parts.of[i] = no;
    }
    return parts;
}

// Returns the part to which a task goes, and creates it if needed. Returns the nearest part if no entry is free;
// nullptr: there is none.
PriorityList *part_for(Lane *lane, PriorityList *whole, Parts *parts, int32 priority) {
    int wanted = whole->split.part_of(priority, whole->parts);
    if (SlotNo no = parts->of[wanted]; no >= 0) return widen(no, priority);
    int before = wanted - 1, behind = wanted + 1;
    while (before >= 0 && parts->of[before] < 0) before--;
    SlotNo made = make_list(lane, before >= 0 ? &at(parts->of[before]).next : &whole->next, {priority, priority});
    while (made < 0 && before < 0 && behind < whole->parts && parts->of[behind] < 0) behind++;
    if (made < 0 && before >= 0) made = parts->of[before];
    if (made < 0 && behind < whole->parts) made = parts->of[behind];
    if (made < 0) return nullptr;
    parts->of[wanted] = made;
    return widen(made, priority);
}

void begin_parts(const Lane &lane, PriorityList *p) {
    int most = has_room(lane) ? Max(2, Min(most_parts, most_lists - lane.lists)) : 2;
    p->parts = p->range.parts(p->list.count, mixed_per_page / 2, most);
    p->split = p->range;
}

// Moves the tasks of a page to the parts of its list. Returns false if there is no memory; the other tasks stay.
bool move_page(Lane *lane, PriorityList *whole, Parts *parts, Page *p) {
    int64 dies = p->min_dies == INT64_MAX ? 0 : p->min_dies;
    for (; p->head < p->count; p->head++, whole->list.count--) {
        int32 priority = ready_priority(*p, p->head);
        PriorityList *part = part_for(lane, whole, parts, priority);
        PageKind kind = whole->split.width() == whole->parts ? PageKind::Ready : PageKind::Mixed;
        if (part == nullptr) return false;
        if (!push_ready(&part->list, kind, ready_ref(*p, p->head), priority, dies, p->since)) return false;
    }
    return true;
}

// Takes up to `pages` pages of a list apart. Returns Gone if that was the whole list.
Front take_apart(Lane *lane, SlotNo *link, int pages) {
    PriorityList *whole = &at(*link);
    if (whole->parts == 0) begin_parts(*lane, whole);
    Parts parts = parts_of(*whole);
    for (; pages > 0; pages--) {
        Page *p;
        Take t = front_page(&whole->list, &p);
        if (t == Take::InFile) return Front::Waits;
        if (t == Take::Got && !move_page(lane, whole, &parts, p)) return Front::Waits;
        if (whole->list.count > 0) continue;
        free_list(lane, link);
        return Front::Gone;
    }
    return Front::Tasks;
}

SlotNo *link_to(Lane *lane, SlotNo no) {
    SlotNo *link = &lane->first;
    while (*link != no) link = &at(*link).next;
    return link;
}

// Called after a list has grown. Takes the list of a range apart if it is a little longer than a page.
void keep_short(SlotNo no, PriorityList *p) {
    Lane &lane = map.lanes[no];
    p->sorted = false;
    const PageList &list = p->list;
    if (p->range.one() || p->parts != 0 || list.count <= mixed_per_page || list.count > short_list) return;
    if (list.spilled != 0 || list.moving || lane.lists >= most_lists || !has_room(lane)) return;
    SlotNo *link = link_to(&lane, static_cast<SlotNo>(p - map.priorities));
    if (take_apart(&lane, link, pages_at_once) != Front::Gone) want_taken_apart(no);
}

}  // namespace

namespace {

// Makes the only page of a list, which has tasks of one priority, a page for several. So the next priority needs no
// second page.
void mix_only_page(PageList *list) {
    const bool only = list->front != 0 && list->front == list->front_last && list->spilled == 0 && !list->moving;
    Page *p = only ? page(list->front) : nullptr;
    if (p == nullptr || p->kind != PageKind::Ready || p->count - p->head >= mixed_per_page) return;
    TaskRef refs[mixed_per_page];
    const int n = p->count - p->head;
    for (int i = 0; i < n; i++) refs[i] = p->ready[p->head + i];
    p->kind = PageKind::Mixed;
    p->head = 0;
    p->count = static_cast<uint16>(n);
    for (int i = 0; i < n; i++) put_ready(p, i, refs[i], p->priority);
}

}  // namespace

bool push_task_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies, int64 since) {
    PriorityList *p = list_for_locked(lane, priority);
    if (p != nullptr && kind_for(*p) == PageKind::Mixed) mix_only_page(&p->list);
    if (p == nullptr || !push_ready(&p->list, kind_for(*p), ref, priority, dies, since)) return false;
    keep_short(lane, p);
    return true;
}

namespace {

// Files the tasks of a page one by one. Tasks for which there is no memory stay in the page. Returns how many were
// filed.
int push_entries(SlotNo lane, Page *p) {
    int64 dies = p->min_dies == INT64_MAX ? 0 : p->min_dies;
    int n = 0;
    for (; p->head < p->count; p->head++, n++)
        if (!push_task_locked(lane, ready_priority(*p, p->head), ready_ref(*p, p->head), dies, p->since)) break;
    return n;
}

}  // namespace

int push_page_locked(SlotNo lane, PageNo no) {
    Page *p = page(no);
    int n = p->count - p->head;
    bool one = p->kind == PageKind::Ready;
    if (!one) sort_by_priority(p->mixed + p->head, n);
    int filed = !one || n < ready_per_page / 2 ? push_entries(lane, p) : 0;
    // A page that is at least half full becomes part of the list as it is. So does a page whose other tasks found no
    // memory.
    PriorityList *list = one && filed < n ? list_for_locked(lane, p->priority) : nullptr;
    if (list == nullptr) {
        give_page(no);
        return filed;
    }
    append_page(&list->list, no);
    keep_short(lane, list);
    return n;
}

namespace {

// Makes room before the first entry of a page with ready tasks.
void make_place(Page *p) {
    if (p->head > 0) {
        p->head--;
        return;
    }
    auto n = static_cast<Size>(p->count++);
    if (p->kind == PageKind::Mixed)
        memmove(&p->mixed[1], &p->mixed[0], sizeof(MixedEntry) * n);
    else
        memmove(&p->ready[1], &p->ready[0], sizeof(TaskRef) * n);
}

// Links a new page before the first page of a list. Returns 0 if there is no memory.
PageNo new_front(PageList *list, PageKind kind, int32 priority, int64 since) {
    PageNo no = take_page(kind);
    if (no == 0) return 0;
    begin_ready(page(no), kind, priority, since);
    page(no)->next = list->front;
    // This is safe while the scheduler moves pages, because it uses only pages behind the front ones.
    if (list->front == 0) list->front_last = no;
    list->front = no;
    return no;
}

// Returns the list whose first tasks of this priority are the oldest ones: a part, if it was created.
PriorityList *first_list_of(SlotNo lane, int32 priority) {
    PriorityList *found = nullptr;
    for (SlotNo no = map.lanes[lane].first; no >= 0 && at(no).range.from <= priority; no = at(no).next)
        if (at(no).range.has(priority)) found = &at(no);
    return found != nullptr ? found : list_for_locked(lane, priority);
}

}  // namespace

bool push_first_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies) {
    PriorityList *l = first_list_of(lane, priority);
    if (l == nullptr) return false;
    if (is_unused(*l)) l->range = {priority, priority};
    PageList *list = &l->list;
    Page *p = list->front != 0 ? page(list->front) : nullptr;
    if (p != nullptr && p->head == p->count) begin_ready(p, kind_for(*l), priority, 0);
    bool fits = p != nullptr && (p->kind == PageKind::Mixed || p->priority == priority);
    if (!fits || (p->head == 0 && !takes_ready(*p, priority))) {
        PageNo no = new_front(list, kind_for(*l), priority, p != nullptr ? p->since : 0);
        if (no == 0) return false;
        p = page(no);
    }
    make_place(p);
    put_ready(p, p->head, ref, priority);
    l->sorted = false;
    list->count++;
    if (dies != 0) {
        p->min_dies = Min(p->min_dies, dies);
        list->min_dies = Min(list->min_dies, dies);
    }
    return true;
}

Front front_of_locked(SlotNo lane, SlotNo no, Page **out) {
    PriorityList &p = at(no);
    if (p.parts == 0) {
        Take t = front_page(&p.list, out);
        if (t != Take::Got) return t == Take::Empty ? Front::None : Front::Waits;
        if (p.range.one()) return Front::Tasks;
        if ((*out)->count - (*out)->head == p.list.count) {
            Page &f = **out;
            if (!p.sorted && f.kind == PageKind::Mixed) sort_by_priority(f.mixed + f.head, f.count - f.head);
            p.sorted = true;
            return Front::Tasks;
        }
    }
    Front f = take_apart(&map.lanes[lane], link_to(&map.lanes[lane], no), pages_at_once);
    if (f == Front::Gone) return f;
    want_taken_apart(lane);
    return f == Front::Tasks ? Front::Begun : Front::Waits;
}

int same_priority(const PriorityList &list, const Page &front) {
    int n = front.count - front.head;
    if (list.range.one() || front.kind != PageKind::Mixed) return n;
    for (int i = 1; i < n; i++)
        if (front.mixed[front.head + i].priority != front.mixed[front.head].priority) return i;
    return n;
}

void want_taken_apart(SlotNo lane) {
    map.lanes[lane].taken_apart = true;
    database(map.queues[map.lanes[lane].queue].db).ready.taken_apart.store(true);
}

Front take_apart_locked(SlotNo no) {
    Lane &lane = map.lanes[no];
    bool far = false;
    for (SlotNo *link = &lane.first; *link >= 0; link = &at(*link).next) {
        if (at(*link).parts != 0) {
            Front f = take_apart(&lane, link, pages_at_once);
            if (f != Front::Waits) return Front::Tasks;
            // Its pages come from the file when the lists before it are empty. Then the lane is marked again.
            if (!far || at(*link).list.front != 0) return f;
            break;
        }
        far = far || at(*link).list.count > 0;
    }
    lane.taken_apart = false;
    return Front::None;
}

void list_is_empty_locked(SlotNo lane) {
    if (map.lanes[lane].lists > own_lists) free_empty_lists_locked(lane);
}

void free_empty_lists_locked(SlotNo no) {
    for (SlotNo *link = &map.lanes[no].first; *link >= 0;) {
        if (is_unused(at(*link)))
            free_list(&map.lanes[no], link);
        else
            link = &at(*link).next;
    }
}

void free_lists_locked(SlotNo no) {
    while (map.lanes[no].first >= 0) free_list(&map.lanes[no], &map.lanes[no].first);
    map.lanes[no].taken_apart = false;
}

}  // namespace pgqueue::dispatch
