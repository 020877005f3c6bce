#include "memory/pool.hpp"

namespace pgqueue::memory {
namespace {

constexpr uint64 number_mask = 0xffffffffu;

// Pops a number + 1 from a tagged stack; next_of(number) reads the link. 0: empty.
template <typename Next>
uint32 pop(pg_atomic_uint64 *head, Next next_of) {
    uint64 seen = pg_atomic_read_u64(head);
    for (;;) {
        uint32 top = static_cast<uint32>(seen & number_mask);
        if (top == 0) return 0;
        uint64 wanted = (((seen >> 32) + 1) << 32) | next_of(top - 1);
        if (pg_atomic_compare_exchange_u64(head, &seen, wanted)) return top;
    }
}

template <typename Link>
void push(pg_atomic_uint64 *head, uint32 top, Link link) {
    uint64 seen = pg_atomic_read_u64(head);
    for (;;) {
        link(static_cast<uint32>(seen & number_mask));
        uint64 wanted = (((seen >> 32) + 1) << 32) | top;
        if (pg_atomic_compare_exchange_u64(head, &seen, wanted)) return;
    }
}

}  // namespace

PageNo take_page(PageKind kind) {
    // Page numbers start at 1 in chains, so the stack's "number + 1" is the page number itself.
    PageNo no = pop(&map.shared->free_page, [](uint32 n) { return page(n + 1)->next; });
    if (no == 0) return 0;
    pg_atomic_fetch_sub_u32(&map.shared->free_pages, 1);
    Page *p = page(no);
    p->next = 0;
    p->head = p->count = 0;
    p->kind = kind;
    p->min_dies = INT64_MAX;
    return no;
}

void give_page(PageNo no) {
    push(&map.shared->free_page, no, [no](uint32 next) { page(no)->next = next; });
    pg_atomic_fetch_add_u32(&map.shared->free_pages, 1);
}

void give_chain(PageNo first) {
    while (first != 0) {
        PageNo next = page(first)->next;
        give_page(first);
        first = next;
    }
}

namespace {

// A stack of free entries: next(entry) is the field that links them, which means something else while an entry is in use.
template <typename Entry>
SlotNo take(pg_atomic_uint64 *head, pg_atomic_uint32 *count, Entry *entries, SlotNo Entry::*next) {
    uint32 top = pop(head, [entries, next](uint32 n) { return static_cast<uint32>(entries[n].*next); });
    if (top != 0) pg_atomic_fetch_sub_u32(count, 1);
    return static_cast<SlotNo>(top) - 1;
}

template <typename Entry>
void give(pg_atomic_uint64 *head, pg_atomic_uint32 *count, Entry *entries, SlotNo Entry::*next, SlotNo no) {
    push(head, static_cast<uint32>(no) + 1, [=](uint32 below) { entries[no].*next = static_cast<SlotNo>(below); });
    pg_atomic_fetch_add_u32(count, 1);
}

}  // namespace

SlotNo take_lane() { return take(&map.shared->free_lane, &map.shared->free_lanes, map.lanes, &Lane::next_active); }
void give_lane(SlotNo no) { give(&map.shared->free_lane, &map.shared->free_lanes, map.lanes, &Lane::next_active, no); }
SlotNo take_priority() { return take(&map.shared->free_priority, &map.shared->free_priorities, map.priorities, &PriorityList::next); }
void give_priority(SlotNo no) { give(&map.shared->free_priority, &map.shared->free_priorities, map.priorities, &PriorityList::next, no); }
SlotNo take_lease() { return take(&map.shared->free_lease, &map.shared->free_leases, map.leases, &Lease::next); }
void give_lease(SlotNo no) { give(&map.shared->free_lease, &map.shared->free_leases, map.leases, &Lease::next, no); }

void push_page(pg_atomic_uint32 *list, PageNo no) {
    uint32 seen = pg_atomic_read_u32(list);
    do
        page(no)->next = seen;
    while (!pg_atomic_compare_exchange_u32(list, &seen, no));
}

void init_pools() {
    Shared *s = map.shared;
    pg_atomic_init_u64(&s->free_page, 0);
    pg_atomic_init_u32(&s->free_pages, 0);
    for (pg_atomic_uint64 *head : {&s->free_lane, &s->free_priority, &s->free_lease}) pg_atomic_init_u64(head, 0);
    for (pg_atomic_uint32 *count : {&s->free_lanes, &s->free_priorities, &s->free_leases}) pg_atomic_init_u32(count, 0);
    for (PageNo no = s->pages; no > 0; no--) give_page(no);
    for (SlotNo no = s->n_leases - 1; no >= 0; no--) give_lease(no);
    for (SlotNo no = s->n_lanes - 1; no >= 0; no--) give_lane(no);
    for (SlotNo no = s->n_priorities - 1; no >= 0; no--) give_priority(no);
}

}  // namespace pgqueue::memory
