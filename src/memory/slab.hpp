// Entries smaller than a page, known by numbers (0 none): pages of the pool, each cut into pieces of one type. A slab
// belongs to a namespace and is used under its lock. A page without entries returns to the pool. T has `bool used()`
// and `int32 next`, which the slab uses while an entry is free.
#pragma once
#include "memory/pool.hpp"

namespace pgqueue::memory {

template <typename T>
constexpr int32 slab_pieces = static_cast<int32>(sizeof(Page::slab) / sizeof(T));

// Returns the entry of a number.
template <typename T>
T *slab_entry(int32 no) {
    return reinterpret_cast<T *>(page(static_cast<PageNo>(no / slab_pieces<T>))->slab) + no % slab_pieces<T>;
}
// Returns the page of an entry.
template <typename T>
Page *slab_page(int32 no) {
    return page(static_cast<PageNo>(no / slab_pieces<T>));
}

// Links a page in front of a slab's pages (first) or behind them, or unlinks it. Pages with free pieces come first.
inline void link_slab_page(Slab *slab, PageNo no, bool first) {
    Page *p = page(no);
    p->next = first ? slab->first : 0;
    p->prev = first ? 0 : slab->last;
    (p->prev != 0 ? page(p->prev)->next : slab->first) = no;
    (p->next != 0 ? page(p->next)->prev : slab->last) = no;
}
inline void unlink_slab_page(Slab *slab, PageNo no) {
    Page *p = page(no);
    (p->prev != 0 ? page(p->prev)->next : slab->first) = p->next;
    (p->next != 0 ? page(p->next)->prev : slab->last) = p->prev;
}

// Takes an entry and zeroes it. Returns its number; 0: out of memory, or it needs a page and may not take one. In a
// page of a slab, `head` is the first free entry (index + 1, 0 none), `count` the number of used ones, and `priority`
// how many were ever used.
template <typename T>
int32 take_entry(Slab *slab, bool may_take_page) {
    PageNo no = slab->first;
    if (no == 0 || page(no)->count == slab_pieces<T>) {
        no = may_take_page ? take_page(PageKind::Slab) : 0;
        if (no == 0) return 0;
        slab->pages++;
        page(no)->priority = 0;
        link_slab_page(slab, no, true);
    }
    slab->used++;
    Page *p = page(no);
    int32 piece = p->head != 0 ? p->head - 1 : p->priority++;
    T *entry = reinterpret_cast<T *>(p->slab) + piece;
    if (p->head != 0) p->head = static_cast<uint16>(entry->next);
    memset(static_cast<void *>(entry), 0, sizeof(T));
    if (++p->count == slab_pieces<T>) {
        unlink_slab_page(slab, no);
        link_slab_page(slab, no, false);
    }
    return static_cast<int32>(no) * slab_pieces<T> + piece;
}

// Frees an entry. Its used() must be false already.
template <typename T>
void give_entry(Slab *slab, int32 number) {
    auto no = static_cast<PageNo>(number / slab_pieces<T>);
    Page *p = page(no);
    slab->used--;
    bool was_full = p->count-- == slab_pieces<T>;
    if (p->count == 0 || was_full) unlink_slab_page(slab, no);
    if (p->count == 0) {
        slab->pages--;
        give_page(no);
        return;
    }
    slab_entry<T>(number)->next = p->head;
    p->head = static_cast<uint16>(number % slab_pieces<T> + 1);
    if (was_full) link_slab_page(slab, no, true);
}

// Calls F(number, T &) for the used entries. It may free the entry that it gets.
template <typename T, typename F>
void each_entry(const Slab &slab, F f) {
    for (PageNo no = slab.first; no != 0;) {
        PageNo next = page(no)->next;
        int32 pieces = page(no)->priority, seen = 0, used = page(no)->count;
        for (int32 i = 0; i < pieces && seen < used; i++) {
            int32 number = static_cast<int32>(no) * slab_pieces<T> + i;
            T *entry = slab_entry<T>(number);
            if (!entry->used()) continue;
            seen++;
            f(number, *entry);
        }
        no = next;
    }
}

}  // namespace pgqueue::memory
