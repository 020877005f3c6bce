#include "handover/pack.hpp"

#include "memory/pool.hpp"
#include "memory/wake.hpp"

namespace pgqueue::handover {
namespace {

constexpr int reserve_tries = 200;
constexpr long reserve_nap_ms = 5;

// Takes a page for the hand-over. If the pool is empty, asks the scheduler to make room. After a second it accepts the
// loss, which is repaired later.
PageNo reserve_page(SlotNo db, PageKind kind, Packed *out) {
    for (int i = 0; !out->out_of_pages && i < reserve_tries; i++) {
        PageNo no = take_page(kind);
        if (no != 0) return no;
        if (db < 0 || state_of(db) == DbState::Unserved) break;
        wake_scheduler(db);
        CHECK_FOR_INTERRUPTS();
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, reserve_nap_ms,
                        pg::wait_event("PgqueueCommitMemory"));
        ResetLatch(MyLatch);
    }
    out->out_of_pages = true;
    return 0;
}

void link_page(PageNo *chain, PageNo no) {
    page(no)->next = *chain;
    *chain = no;
}

PageKind kind_of(const Hint &t) {
    return t.group != 0 ? PageKind::Grouped : t.due != 0 ? PageKind::Due : PageKind::Ready;
}

// Whether an open page takes one more task: ready ones by lane, and by priority unless there are many of these; waiting
// ones (with their time) and those of groups, whose order goes over lanes, by namespace.
bool fits(const Page *p, const Hint &t) {
    if (p == nullptr || (p->kind == PageKind::Mixed ? PageKind::Ready : p->kind) != kind_of(t)) return false;
    if (p->kind == PageKind::Ready) return p->lane == t.lane && p->priority == t.priority && p->count < ready_per_page;
    if (p->kind == PageKind::Mixed) return p->lane == t.lane && p->count < mixed_per_page;
    return p->count < (p->kind == PageKind::Due ? due_per_page : hints_per_page) &&
           map.queues[map.lanes[p->lane].queue].ns == map.queues[map.lanes[t.lane].queue].ns;
}

constexpr int open_most = 16;  // pages that are filled at once, for transactions that alternate between queues

// Returns the kind of the next page if an open page is closed for it. With many priorities, few tasks are in each page.
// Then they share pages, and the lane's other pages are closed, so that the order holds.
PageKind next_kind(const Hint &t, const Page *closed, Page **open) {
    if (kind_of(t) != PageKind::Ready || closed == nullptr) return kind_of(t);
    bool many = closed->kind == PageKind::Mixed ? closed->lane == t.lane
                                                : closed->kind == PageKind::Ready && closed->count < ready_per_page / 2;
    if (!many) return PageKind::Ready;
    for (int i = 0; i < open_most; i++)
        if (open[i] != nullptr && open[i]->kind == PageKind::Ready && open[i]->lane == t.lane) open[i] = nullptr;
    return PageKind::Mixed;
}

// Returns the position for the next page: that of a full page of this kind and lane, or the next in turn.
int to_close(const Hint &t, Page *const *open, int *turn) {
    for (int i = 0; i < open_most && kind_of(t) == PageKind::Ready; i++)
        if (open[i] != nullptr && open[i]->kind == PageKind::Mixed && open[i]->lane == t.lane) return i;
    return (*turn)++ % open_most;
}

void put_task(Page *p, const Hint &t) {
    switch (p->kind) {
        case PageKind::Mixed: p->mixed[p->count++] = {t.ref, t.priority}; break;
        case PageKind::Grouped: p->hints[p->count++] = t; break;
        case PageKind::Due: p->due[p->count++] = DueEntry{t.due, t.dies, t.ref, t.lane, t.priority}; break;
        default: p->ready[p->count++] = t.ref;
    }
    if (t.dies != 0) p->min_dies = Min(p->min_dies, t.dies);
}

// Packs tasks in the order in which they were noted. The newest page is first in the chain.
void pack_tasks(SlotNo db, const Notes<TaskNote> &tasks, Packed *out) {
    Page *open[open_most] = {};
    int at = 0, turn = 0;
    for (int i = 0; i < tasks.count; i++) {
        const Hint &t = tasks.items[i].hint;
        if (!fits(open[at], t))
            for (at = 0; at < open_most && !fits(open[at], t);) at++;
        if (at == open_most) {
            at = to_close(t, open, &turn);
            PageNo no = reserve_page(db, next_kind(t, open[at], open), out);
            if (no == 0) return;
            link_page(&out->tasks, no);
            open[at] = page(no);
            open[at]->lane = t.lane;
            open[at]->priority = t.priority;
            open[at]->since = pg::monotonic_now();
        }
        put_task(open[at], t);
    }
}

void pack_deltas(SlotNo db, const Notes<CountNote> &counts, Packed *out) {
    Page *open = nullptr;
    for (int i = 0; i < counts.count; i++) {
        if (open == nullptr || open->count == deltas_per_page) {
            PageNo no = reserve_page(db, PageKind::Deltas, out);
            if (no == 0) return;
            link_page(&out->deltas, no);
            open = page(no);
            open->xid = GetTopTransactionIdIfAny();
        }
        open->deltas[open->count++] = counts.items[i].delta;
    }
}

}  // namespace

void pack(SlotNo db, const Notes<TaskNote> &tasks, const Notes<CountNote> &counts, Packed *out) {
    out->basis = counts_basis(db);
    pack_tasks(db, tasks, out);
    pack_deltas(db, counts, out);
}

}  // namespace pgqueue::handover
