// A FIFO of entries as a chain of pages: front pages in memory, a run of pages in the spill file, back pages in memory.
// All functions are called under the lock that owns the list and neither raise nor wait.
#pragma once
#include "dispatch/pool.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

enum class Take { Got, Empty, InFile };  // InFile: the next entries are in the spill file, the scheduler has to bring them

inline void init_list(PageList *list) {
    *list = PageList{};
    list->min_dies = INT64_MAX;
}

// The chain that new entries go to.
inline PageNo *tail_of(PageList *list) { return list->spilled > 0 || list->moving ? &list->back_last : &list->front_last; }
inline PageNo *head_of_tail(PageList *list) { return list->spilled > 0 || list->moving ? &list->back : &list->front; }

// Appends a page that already has entries; the list owns it from now on.
inline void append_page(PageList *list, PageNo no) {
    Page *p = page(no);
    p->next = 0;
    PageNo *last = tail_of(list);
    if (*last != 0)
        page(*last)->next = no;
    else
        *head_of_tail(list) = no;
    *last = no;
    list->count += p->count - p->head;
    list->min_dies = Min(list->min_dies, p->min_dies);
}

// The page at the tail with room for one more entry; takes a new one when needed. Null: no memory.
inline Page *tail_page(PageList *list, PageKind kind, int capacity) {
    PageNo last = *tail_of(list);
    if (last != 0 && page(last)->count < capacity) return page(last);
    PageNo no = take_page(kind);
    if (no == 0) return nullptr;
    append_page(list, no);
    return page(no);
}

// The front page that has entries; pages used up on the way go back to the pool.
inline Take front_page(PageList *list, Page **out) {
    while (list->front != 0) {
        Page *p = page(list->front);
        if (p->head < p->count) {
            *out = p;
            return Take::Got;
        }
        if (list->front == list->front_last && list->spilled == 0 && !list->moving) {
            // Keep the last page: the queue is likely to be filled again.
            p->head = p->count = 0;
            p->min_dies = INT64_MAX;
            list->min_dies = INT64_MAX;
            return Take::Empty;
        }
        PageNo used = list->front;
        list->front = p->next;
        if (list->front == 0) list->front_last = 0;
        give_page(used);
    }
    if (list->spilled > 0 || list->moving) return Take::InFile;
    return Take::Empty;
}

// since: when it became ready, 0 now.
inline bool push_ready(PageList *list, const TaskRef &ref, int64 dies, int64 since) {
    Page *p = tail_page(list, PageKind::Ready, ready_per_page);
    if (p == nullptr) return false;
    if (p->head == p->count) p->since = since != 0 ? since : pg::monotonic_now();
    p->ready[p->count++] = ref;
    list->count++;
    if (dies != 0) {
        p->min_dies = Min(p->min_dies, dies);
        list->min_dies = Min(list->min_dies, dies);
    }
    return true;
}

inline bool push_due(PageList *list, const DueEntry &entry) {
    Page *p = tail_page(list, PageKind::Due, due_per_page);
    if (p == nullptr) return false;
    p->due[p->count++] = entry;
    list->count++;
    return true;
}

// Frees everything in memory; places in the file are forgotten by the caller (rebuild starts a new file).
inline void clear_list(PageList *list) {
    give_chain(list->front);
    give_chain(list->back);
    give_chain(list->dir);
    init_list(list);
}

}  // namespace pgqueue::dispatch
