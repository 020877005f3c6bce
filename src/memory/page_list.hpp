// A FIFO of entries as a chain of pages: front pages in memory, a run of pages in the spill file, back pages in memory.
// The caller of each function holds the lock that owns the list. The functions neither raise nor wait.
#pragma once
#include "memory/pool.hpp"
#include "pg/clock.hpp"

namespace pgqueue::memory {

enum class Take {
    Got,
    Empty,
    InFile
};  // InFile: the next entries are in the spill file; the scheduler has to read them

// Makes a list empty, without freeing pages.
inline void init_list(PageList *list) {
    *list = PageList{};
    list->min_dies = INT64_MAX;
}

// Returns the end, and the beginning, of the chain to which new entries are added.
inline PageNo *tail_of(PageList *list) {
    return list->spilled > 0 || list->moving ? &list->back_last : &list->front_last;
}
inline PageNo *head_of_tail(PageList *list) { return list->spilled > 0 || list->moving ? &list->back : &list->front; }

// Appends a page that has entries already. The list owns it from then on.
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

// Returns the last page, with room for one more entry; takes a new page if needed. nullptr: out of memory.
inline Page *tail_page(PageList *list, PageKind kind, int capacity) {
    PageNo last = *tail_of(list);
    if (last != 0 && page(last)->count < capacity) return page(last);
    PageNo no = take_page(kind);
    if (no == 0) return nullptr;
    append_page(list, no);
    return page(no);
}

// Finds the front page with entries. Pages that are used up go back to the pool.
inline Take front_page(PageList *list, Page **out) {
    while (list->front != 0) {
        Page *p = page(list->front);
        if (p->head < p->count) {
            *out = p;
            return Take::Got;
        }
        if (list->front == list->front_last && list->spilled == 0 && !list->moving) {
            // Keep the last page: the queue will probably be filled again.
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
    list->wanted = list->spilled > 0 || list->moving;
    return list->wanted ? Take::InFile : Take::Empty;
}

// Returns whether a page of ready tasks has room for a task of this priority. A page without entries takes any task.
inline bool takes_ready(const Page &p, int32 priority) {
    if (p.head == p.count) return true;
    return p.kind == PageKind::Mixed ? p.count < mixed_per_page : p.count < ready_per_page && p.priority == priority;
}

// Begins a page for ready tasks, new or used up. since: monotonic, 0 now.
inline void begin_ready(Page *p, PageKind kind, int32 priority, int64 since) {
    p->head = p->count = 0;
    p->kind = kind;
    p->priority = priority;
    p->since = since != 0 ? since : pg::monotonic_now();
}

// Writes the i-th entry of a page of ready tasks.
inline void put_ready(Page *p, int i, const TaskRef &ref, int32 priority) {
    if (p->kind == PageKind::Mixed)
        p->mixed[i] = {ref, priority};
    else
        p->ready[i] = ref;
}

// Moves an entry of a page of ready tasks to an earlier place.
inline void move_ready(Page *p, int to, int from) {
    put_ready(p, to, TaskRef(ready_ref(*p, from)), ready_priority(*p, from));
}

// Appends a ready task. kind: of a page that is begun. dies: its dies_at, 0 never. since: when it became ready
// (monotonic), 0 now. Returns false if there is no memory.
inline bool push_ready(PageList *list, PageKind kind, const TaskRef &ref, int32 priority, int64 dies, int64 since) {
    PageNo no = *tail_of(list);
    if (no == 0 || !takes_ready(*page(no), priority)) {
        no = take_page(kind);
        if (no == 0) return false;
        append_page(list, no);
    }
    Page *p = page(no);
    if (p->head == p->count) begin_ready(p, kind, priority, since);
    put_ready(p, p->count++, ref, priority);
    list->count++;
    if (dies != 0) {
        p->min_dies = Min(p->min_dies, dies);
        list->min_dies = Min(list->min_dies, dies);
    }
    return true;
}

// Appends an entry of the due heap. Returns false if there is no memory.
inline bool push_due(PageList *list, const DueEntry &entry) {
    Page *p = tail_page(list, PageKind::Due, due_per_page);
    if (p == nullptr) return false;
    p->due[p->count++] = entry;
    list->count++;
    return true;
}

// Returns all pages in memory to the pool. The caller forgets the places in the spill file (a rebuild starts a new
// file).
inline void clear_list(PageList *list) {
    give_chain(list->front);
    give_chain(list->back);
    init_list(list);
}

}  // namespace pgqueue::memory
