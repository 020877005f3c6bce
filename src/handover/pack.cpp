#include "handover/pack.hpp"

#include "memory/pool.hpp"
#include "memory/wake.hpp"

namespace pgqueue::handover {
namespace {

constexpr int few_pages = 8;
constexpr int reserve_tries = 200;
constexpr long reserve_nap_ms = 5;

// Takes a page for the hand-over; 0: there is none. Asks the scheduler to make room, and waits up to a second for it.
// crowded: the namespace has pages that wait for room. It leaves room for others, as does a transaction with many
// pages.
PageNo reserve_page(SlotNo db, PageKind kind, Packed *out, bool crowded = false) {
    const bool many = crowded || out->pages >= few_pages;
    for (int i = 0; i < reserve_tries; i++) {
        PageNo no = many && !room_for_many() ? 0 : take_page(kind);
        if (no != 0) {
            out->pages++;
            return no;
        }
        if (db < 0 || state_of(db) == DbState::Unserved) break;
        wake_scheduler(db);
        CHECK_FOR_INTERRUPTS();
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, reserve_nap_ms,
                        pg::wait_event("PgqueueCommitMemory"));
        ResetLatch(MyLatch);
    }
    return 0;
}

void link_page(PageNo *chain, PageNo no) {
    page(no)->next = *chain;
    *chain = no;
}

PageKind kind_of(const Hint &t) {
    return t.group != 0 ? PageKind::Grouped : t.due != 0 ? PageKind::Due : PageKind::Ready;
}

bool same_namespace(const Page &p, const Hint &t) {
    return map.queues[map.lanes[p.lane].queue].ns == map.queues[map.lanes[t.lane].queue].ns;
}

// Returns whether a page is for ready tasks without a group key.
bool is_ready(const Page *p) {
    return p != nullptr && (p->kind == PageKind::Ready || p->kind == PageKind::Mixed || p->kind == PageKind::Hints);
}

// Whether an open page takes one more task: ready ones by lane and priority, or by lane or namespace if there are many
// of these; waiting ones (with their time) and those of groups, whose order goes over lanes, by namespace.
bool fits(const Page *p, const Hint &t) {
    if (p == nullptr || (is_ready(p) ? PageKind::Ready : p->kind) != kind_of(t)) return false;
    if (p->kind == PageKind::Ready) return p->lane == t.lane && p->priority == t.priority && p->count < ready_per_page;
    if (p->kind == PageKind::Mixed) return p->lane == t.lane && p->count < mixed_per_page;
    return p->count < (p->kind == PageKind::Due ? due_per_page : hints_per_page) && same_namespace(*p, t);
}

constexpr int open_most = 16;  // pages that are filled at once, for transactions that alternate between queues

// Returns whether several open pages have tasks of this lane.
bool many_priorities(SlotNo lane, Page *const *open) {
    int n = 0;
    for (int i = 0; i < open_most; i++) n += is_ready(open[i]) && open[i]->lane == lane;
    return n > 1;
}

// Returns the kind of the next page if an open page is closed for it. With many priorities or lanes, few tasks are in
// each page. Then they share pages.
PageKind next_kind(const Hint &t, const Page *closed, Page *const *open) {
    if (kind_of(t) != PageKind::Ready || closed == nullptr || !is_ready(closed)) return kind_of(t);
    if (closed->kind == PageKind::Hints) return same_namespace(*closed, t) ? PageKind::Hints : PageKind::Ready;
    if (closed->kind == PageKind::Mixed && closed->lane == t.lane) return PageKind::Mixed;
    if (closed->count >= (closed->kind == PageKind::Ready ? ready_per_page : mixed_per_page) / 2)
        return PageKind::Ready;
    return many_priorities(t.lane, open) ? PageKind::Mixed : PageKind::Hints;
}

// Closes the other pages that may have tasks of this lane, so that the order holds when they share pages from now on.
void close_others(PageKind kind, const Hint &t, Page **open) {
    if (kind != PageKind::Mixed && kind != PageKind::Hints) return;
    for (int i = 0; i < open_most; i++)
        if (is_ready(open[i]) && (kind == PageKind::Mixed ? open[i]->lane == t.lane : same_namespace(*open[i], t)))
            open[i] = nullptr;
}

// Returns the position for the next page: that of a full page which the task would share, or the next in turn.
int to_close(const Hint &t, Page *const *open, int *turn) {
    for (int i = 0; i < open_most && kind_of(t) == PageKind::Ready; i++) {
        if (open[i] == nullptr) continue;
        if (open[i]->kind == PageKind::Mixed && open[i]->lane == t.lane) return i;
        if (open[i]->kind == PageKind::Hints && same_namespace(*open[i], t)) return i;
    }
    return (*turn)++ % open_most;
}

void put_task(Page *p, const Hint &t) {
    switch (p->kind) {
        case PageKind::Mixed: p->mixed[p->count++] = {t.ref, t.priority}; break;
        case PageKind::Hints:
        case PageKind::Grouped: p->hints[p->count++] = t; break;
        case PageKind::Due: p->due[p->count++] = DueEntry{t.due, t.dies, t.ref, t.lane, t.priority}; break;
        default: p->ready[p->count++] = t.ref;
    }
    if (t.dies != 0) p->min_dies = Min(p->min_dies, t.dies);
}

// Packs tasks in the order in which they were noted. The newest page is first in the chain.
void pack_tasks(SlotNo db, const Notes<TaskNote> &tasks, Packed *out) {
    constexpr uint32 part = 16;
    const int most_pages = Max(few_pages, static_cast<int>(map.shared->pages / part));
    Page *open[open_most] = {};
    int at = 0, turn = 0;
    for (out->handed_over = 0; out->handed_over < tasks.count; out->handed_over++) {
        const Hint &t = tasks.items[out->handed_over].hint;
        if (!fits(open[at], t))
            for (at = 0; at < open_most && !fits(open[at], t);) at++;
        if (at == open_most) {
            at = to_close(t, open, &turn);
            const PageKind kind = next_kind(t, open[at], open);
            const bool crowded = map.namespaces[map.queues[map.lanes[t.lane].queue].ns].crowded.load();
            PageNo no = out->pages < most_pages ? reserve_page(db, kind, out, crowded) : 0;
            if (no == 0) return;
            close_others(kind, t, open);
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
            out->counts_lost = no == 0;
            if (out->counts_lost) return;
            link_page(&out->deltas, no);
            open = page(no);
            open->xid = out->xid;
        }
        open->deltas[open->count++] = counts.items[i].delta;
    }
}

}  // namespace

void pack(SlotNo db, const Notes<TaskNote> &tasks, const Notes<CountNote> &counts, Packed *out) {
    out->basis = counts_basis(db);
    out->xid = GetTopTransactionIdIfAny();
    pack_tasks(db, tasks, out);
    pack_deltas(db, counts, out);
}

}  // namespace pgqueue::handover
