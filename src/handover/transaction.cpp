#include "handover/transaction.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/group_filing.hpp"
#include "dispatch/missed.hpp"
#include "dispatch/waiters.hpp"
#include "handover/actions.hpp"
#include "handover/edges.hpp"
#include "handover/leases.hpp"
#include "handover/pack.hpp"
#include "handover/statistics.hpp"
#include "memory/pool.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "memory/wake.hpp"
#include "signal/dependency_posts.hpp"

namespace pgqueue::handover {
namespace {

constinit Notes<TaskNote> tasks{};
// Waiting tasks whose rows this transaction has locked or changed. A process that popped their hints meanwhile has
// skipped them.
constinit Notes<TaskNote> touched{};
constinit Packed packed{};
// The task whose row is being locked, 0 none.
struct Locking {
    int64 id;
    SubTransactionId sub;
};
constinit Locking locking{};

bool anything() {
    return locking.id != 0 || tasks.count + noted_counts().count + touched.count > 0 || any_actions() || any_holds() ||
           any_asked() || any_statistics();
}
// Also true if everything was rolled back to a savepoint.
bool was_used() {
    return tasks.used() || noted_counts().used() || were_actions() || touched.used() || has_noted_holds() ||
           any_holds() || were_statistics();
}

void give_reserved() {
    give_chain(packed.tasks);
    give_chain(packed.deltas);
    packed.tasks = packed.deltas = 0;
}

// Only a hint: reads without the lock.
bool is_paused(SlotNo queue) { return map.queues[queue].paused || map.namespaces[map.queues[queue].ns].paused; }

struct LaneCount {
    SlotNo lane;
    int n;
};

// Counts the tasks of a page by lane.
int count_lanes(const Page &p, LaneCount *out) {
    if (p.kind != PageKind::Grouped && p.kind != PageKind::Hints) {
        out[0] = {p.lane, p.count};
        return 1;
    }
    int n = 0;
    for (int i = 0; i < p.count; i++) {
        int at = 0;
        while (at < n && out[at].lane != p.hints[i].lane) at++;
        if (at == n) out[n++] = {p.hints[i].lane, 0};
        out[at].n++;
    }
    return n;
}

// Wakes processes that may take new tasks of a lane. Returns false if the scheduler has something to do for them, too.
bool wake_for(SlotNo db, const LaneCount &c) {
    SlotNo role = map.lanes[c.lane].role;
    if (role >= 0) return wake_idle_workers(db, role, c.n) >= c.n;
    // A session that waits for a paused queue is woken when the queue is resumed.
    if (!is_paused(map.lanes[c.lane].queue)) dispatch::wake_task_waiters(map.lanes[c.lane].queue, c.n);
    return false;
}

// Pushes the task pages, oldest first, and wakes the processes that can use them.
void hand_over_tasks(SlotNo db) {
    PageNo oldest = 0;
    while (packed.tasks != 0) {
        PageNo next = page(packed.tasks)->next;
        page(packed.tasks)->next = oldest;
        oldest = packed.tasks;
        packed.tasks = next;
    }
    if (state_of(db) == DbState::Unserved) {
        bool had = oldest != 0;
        give_chain(oldest);
        if (had && database(db).service.wanted.load()) wake_launcher();
        return;
    }
    // Delayed tasks alone do not wake the scheduler, and stay in the inbox with all their pages.
    bool scheduler = oldest != 0 && free_pages() < low_water();
    while (oldest != 0) {
        Page *p = page(oldest);
        PageNo next = p->next;
        bool ready = p->kind != PageKind::Due;
        int64 earliest = ready ? p->min_dies : INT64_MAX;
        for (int i = 0; !ready && i < p->count; i++) earliest = Min(earliest, p->due[i].due);
        // A task of a group may wait for its time, which the scheduler has to know.
        for (int i = 0; p->kind == PageKind::Grouped && i < p->count; i++)
            if (p->hints[i].due != 0) earliest = Min(earliest, p->hints[i].due);
        LaneCount lanes[hints_per_page];
        int n = ready ? count_lanes(*p, lanes) : 0;
        push_page(&map.namespaces[map.queues[map.lanes[p->lane].queue].ns].inbox, oldest);
        for (int i = 0; i < n; i++) scheduler = !wake_for(db, lanes[i]) || scheduler;
        wake_scheduler_at(db, earliest);
        oldest = next;
    }
    if (scheduler) wake_scheduler_if_sleeping(db);
    if (database(db).scheduler.procno.load() < 0) wake_scheduler(db);
}

// Hints tasks again that an abort has brought back: those at the end of the notes that belong to the subtransaction
// (invalid: all).
void bring_back(SubTransactionId sub) {
    bool any = false;
    for (; touched.count > 0 && (sub == InvalidSubTransactionId || touched.items[touched.count - 1].sub == sub);
         touched.count--) {
        const Hint &t = touched.items[touched.count - 1].hint;
        if (state_of(map.queues[map.lanes[t.lane].queue].db) == DbState::Unserved) continue;
        dispatch::enqueue(t);
        any = true;
    }
    if (SlotNo db = any ? find_database(MyDatabaseId) : -1; db >= 0) wake_scheduler(db);
}

// The transaction failed while it locked a row. A process that popped the task's hint meanwhile has skipped it.
void check_locked(SubTransactionId sub) {
    if (locking.id == 0 || (sub != InvalidSubTransactionId && locking.sub != sub)) return;
    SlotNo db = find_database(MyDatabaseId);
    if (db >= 0 && !signal::post_lost_hint(db, locking.id)) database(db).reading.lost.store(Lost::Full);
    locking.id = 0;
}

void forget_all() {
    locking.id = 0;
    end_asked(InvalidSubTransactionId);
    forget_holds();
    touched.reset();
    tasks.reset();
    forget_counts(InvalidSubTransactionId);
    forget_actions(InvalidSubTransactionId);
    forget_statistics(InvalidSubTransactionId);
    packed = {};
}

SlotNo namespace_of(const Hint &h) { return map.queues[map.lanes[h.lane].queue].ns; }

// Makes the scheduler read the rows of the tasks that found no page: those of groups from the first one on, because the
// next tasks must not break the order of a group.
void leave_out() {
    for (int i = packed.handed_over; i < tasks.count;) {
        const SlotNo ns = namespace_of(tasks.items[i].hint);
        int64 first_grouped = INT64_MAX;
        Missed missed{INT64_MAX, 0, packed.xid};
        for (; i < tasks.count && namespace_of(tasks.items[i].hint) == ns; i++) {
            const Hint &h = tasks.items[i].hint;
            if (h.group != 0) {
                first_grouped = Min(first_grouped, h.ref.id);
            } else {
                missed.from = Min(missed.from, h.ref.id);
                missed.to = Max(missed.to, h.ref.id);
            }
        }
        if (first_grouped != INT64_MAX) dispatch::leave_out_from(ns, first_grouped);
        if (missed.to != 0) dispatch::add_missed(ns, missed);
    }
}

// After a quiet time, makes the scheduler search for forgotten tasks in a while.
void expect_look(SlotNo db) {
    constexpr int64 a_while = 20 * int64(USECS_PER_SEC);
    Atomic<bool> *changed = &database(db).reading.changed;
    if (!changed->load() && !changed->exchange(true)) wake_scheduler_by(db, pg::deadline_in(a_while));
}

void at_commit() {
    const SlotNo db = find_database(MyDatabaseId);
    run_actions(db);
    add_statistics(db);
    if (db >= 0) {
        hand_over_counts(db, packed.basis, &packed.deltas);
        // The hints come first: a task that is retried is in its group before the group's place is free.
        hand_over_tasks(db);
        commit_holds(db);
        leave_groups();
        expect_look(db);
        if (state_of(db) != DbState::Unserved) leave_out();
        if (packed.counts_lost) {
            database(db).reading.lost.store(Lost::Full);
            wake_scheduler(db);
        }
        if (concern_scheduler()) wake_scheduler(db);
    } else {
        give_reserved();
    }
    forget_all();
}

void on_xact(XactEvent event, void *) {
    switch (event) {
        case XACT_EVENT_PRE_COMMIT:
            if (tasks.count + noted_counts().count > 0)
                pack(find_database(MyDatabaseId), tasks, noted_counts(), &packed);
            prepare_statistics();
            break;
        case XACT_EVENT_COMMIT:
            // Also without notes: the memory of notes that a subtransaction rolled back ends with the transaction.
            anything() ? at_commit() : forget_all();
            break;
        case XACT_EVENT_ABORT:
            if (packed.tasks != 0 || packed.deltas != 0) give_reserved();
            abort_holds(InvalidSubTransactionId);
            bring_back(InvalidSubTransactionId);
            check_locked(InvalidSubTransactionId);
            note_rolled_back();
            forget_all();
            break;
        case XACT_EVENT_PRE_PREPARE:
            if (was_used())
                ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot PREPARE a transaction that has changed tasks or queues of pgqueue"),
                        errhint("Use COMMIT, or change tasks and queues in a separate transaction."));
            break;
        // Nothing is noted in this case. Still, the memory of notes must not outlive the transaction.
        case XACT_EVENT_PREPARE: forget_all(); break;
        default: break;
    }
}

void on_subxact(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB) note_rolled_back();
    if (!anything()) return;
    if (event == SUBXACT_EVENT_ABORT_SUB) {
        abort_holds(mine);
        end_asked(mine);
        bring_back(mine);
        check_locked(mine);
        tasks.forget(mine);
        forget_counts(mine);
        forget_actions(mine);
        forget_statistics(mine);
    } else if (event == SUBXACT_EVENT_COMMIT_SUB) {
        hand_up_holds(mine, parent);
        hand_up_asked(mine, parent);
        if (locking.sub == mine) locking.sub = parent;
        touched.hand_up(mine, parent);
        tasks.hand_up(mine, parent);
        hand_up_counts(mine, parent);
        hand_up_statistics(mine, parent);
        hand_up_actions(mine, parent);
    }
}

// At the very end of a transaction its invalidations have been sent. So no process finds an entry that it has dropped.
void on_release(ResourceReleasePhase phase, bool, bool top_level, void *) {
    if (phase == RESOURCE_RELEASE_AFTER_LOCKS && top_level) end_use();
}

}  // namespace

bool let_drops_pass() { return !was_used() && use_anew(); }

void hint_at_commit(const Hint &hint) { tasks.add()->hint = hint; }
void hint_at_abort(const Hint &hint) { touched.add()->hint = hint; }
void begin_lock(int64 id) { locking = {id, GetCurrentSubTransactionId()}; }
void end_lock() { locking.id = 0; }

void register_xact_callbacks() {
    RegisterXactCallback(on_xact, nullptr);
    RegisterSubXactCallback(on_subxact, nullptr);
    RegisterResourceReleaseCallback(on_release, nullptr);
}

}  // namespace pgqueue::handover
