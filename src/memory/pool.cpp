#include "memory/pool.hpp"

namespace pgqueue::memory {
namespace {

constexpr uint64 number_mask = 0xffffffffu;

// Pops a number + 1 from a tagged stack; next_of(number) reads the link. 0: empty.
template <typename Next>
uint32 pop(Atomic<uint64> *head, Next next_of) {
    uint64 seen = head->load();
    for (;;) {
        uint32 top = static_cast<uint32>(seen & number_mask);
        if (top == 0) return 0;
        uint64 wanted = (((seen >> 32) + 1) << 32) | next_of(top - 1);
        if (head->compare_exchange(&seen, wanted)) return top;
    }
}

template <typename Link>
void push(Atomic<uint64> *head, uint32 top, Link link) {
    uint64 seen = head->load();
    for (;;) {
        link(static_cast<uint32>(seen & number_mask));
        uint64 wanted = (((seen >> 32) + 1) << 32) | top;
        if (head->compare_exchange(&seen, wanted)) return;
    }
}

}  // namespace

PageNo take_page(PageKind kind) {
    // Page numbers start at 1 in chains, so the stack's "number + 1" is the page number itself.
    PageNo no = pop(&map.shared->free_page, [](uint32 n) { return page(n + 1)->next; });
    if (no == 0) return 0;
    map.shared->free_pages.fetch_sub(1);
    Page *p = page(no);
    p->next = 0;
    p->head = p->count = 0;
    p->kind = kind;
    p->min_dies = INT64_MAX;
    return no;
}

void give_page(PageNo no) {
    push(&map.shared->free_page, no, [no](uint32 next) { page(no)->next = next; });
    map.shared->free_pages.fetch_add(1);
}

void give_chain(PageNo first) {
    while (first != 0) {
        PageNo next = page(first)->next;
        give_page(first);
        first = next;
    }
}

namespace {

// A stack of free entries. next(entry) is the field that links them; it has another meaning while an entry is in use.
template <typename Entry>
SlotNo take(Atomic<uint64> *head, Atomic<int32> *count, Entry *entries, SlotNo Entry::*next) {
    uint32 top = pop(head, [entries, next](uint32 n) { return static_cast<uint32>(entries[n].*next); });
    if (top != 0) count->fetch_sub(1);
    return static_cast<SlotNo>(top) - 1;
}

template <typename Entry>
void give(Atomic<uint64> *head, Atomic<int32> *count, Entry *entries, SlotNo Entry::*next, SlotNo no) {
    push(head, static_cast<uint32>(no) + 1, [=](uint32 below) { entries[no].*next = static_cast<SlotNo>(below); });
    count->fetch_add(1);
}

}  // namespace

SlotNo take_lane() { return take(&map.shared->free_lane, &map.shared->free_lanes, map.lanes, &Lane::next_active); }
void give_lane(SlotNo no) { give(&map.shared->free_lane, &map.shared->free_lanes, map.lanes, &Lane::next_active, no); }
SlotNo take_priority() {
    return take(&map.shared->free_priority, &map.shared->free_priorities, map.priorities, &PriorityList::next);
}
void give_priority(SlotNo no) {
    give(&map.shared->free_priority, &map.shared->free_priorities, map.priorities, &PriorityList::next, no);
}
SlotNo take_lease() { return take(&map.shared->free_lease, &map.shared->free_leases, map.leases, &Lease::next); }
void give_lease(SlotNo no) { give(&map.shared->free_lease, &map.shared->free_leases, map.leases, &Lease::next, no); }

void push_page(Atomic<PageNo> *list, PageNo no) {
    uint32 seen = list->load();
    do page(no)->next = seen;
    while (!list->compare_exchange(&seen, no));
}

void init_pools() {
    Shared *s = map.shared;
    s->free_page.init(0);
    s->free_pages.init(0);
    for (Atomic<uint64> *head : {&s->free_lane, &s->free_priority, &s->free_lease}) head->init(0);
    for (Atomic<int32> *count : {&s->free_lanes, &s->free_priorities, &s->free_leases}) count->init(0);
    for (PageNo no = s->pages; no > 0; no--) give_page(no);
    for (SlotNo no = s->n_leases - 1; no >= 0; no--) give_lease(no);
    for (SlotNo no = s->n_lanes - 1; no >= 0; no--) give_lane(no);
    for (SlotNo no = s->n_priorities - 1; no >= 0; no--) give_priority(no);
}

}  // namespace pgqueue::memory
