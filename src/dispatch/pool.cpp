#include "dispatch/pool.hpp"

namespace pgqueue::dispatch {
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

// Free lanes and priority lists are linked through fields that mean something else while in use.
SlotNo take_lane() { return static_cast<SlotNo>(pop(&map.shared->free_lane, [](uint32 n) { return static_cast<uint32>(map.lanes[n].next_active); })) - 1; }
void give_lane(SlotNo no) {
    push(&map.shared->free_lane, static_cast<uint32>(no) + 1, [no](uint32 next) { map.lanes[no].next_active = static_cast<SlotNo>(next); });
}
SlotNo take_priority() { return static_cast<SlotNo>(pop(&map.shared->free_priority, [](uint32 n) { return static_cast<uint32>(map.priorities[n].next); })) - 1; }
void give_priority(SlotNo no) {
    push(&map.shared->free_priority, static_cast<uint32>(no) + 1, [no](uint32 next) { map.priorities[no].next = static_cast<SlotNo>(next); });
}

SlotNo take_lease() {
    uint32 top = pop(&map.shared->free_lease, [](uint32 n) { return static_cast<uint32>(map.leases[n].next); });
    if (top != 0) pg_atomic_fetch_sub_u32(&map.shared->free_leases, 1);
    return static_cast<SlotNo>(top) - 1;
}
void give_lease(SlotNo no) {
    pg_atomic_fetch_add_u32(&map.shared->free_leases, 1);
    push(&map.shared->free_lease, static_cast<uint32>(no) + 1, [no](uint32 next) { map.leases[no].next = static_cast<SlotNo>(next); });
}

void init_pools() {
    Shared *s = map.shared;
    pg_atomic_init_u64(&s->free_page, 0);
    pg_atomic_init_u32(&s->free_pages, 0);
    pg_atomic_init_u64(&s->free_lane, 0);
    pg_atomic_init_u64(&s->free_priority, 0);
    for (PageNo no = s->pages; no > 0; no--) give_page(no);
    pg_atomic_init_u64(&s->free_lease, 0);
    pg_atomic_init_u32(&s->free_leases, 0);
    for (SlotNo no = s->n_leases - 1; no >= 0; no--) give_lease(no);
    for (SlotNo no = s->n_lanes - 1; no >= 0; no--) give_lane(no);
    for (SlotNo no = s->n_priorities - 1; no >= 0; no--) give_priority(no);
}

}  // namespace pgqueue::dispatch
