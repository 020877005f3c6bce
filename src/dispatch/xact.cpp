#include "dispatch/xact.hpp"

#include "dispatch/awaited.hpp"
#include "dispatch/edges.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/notes.hpp"
#include "dispatch/outside.hpp"
#include "dispatch/pack.hpp"
#include "dispatch/page_list.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/refile.hpp"
#include "dispatch/tickers.hpp"
#include "dispatch/users.hpp"
#include "dispatch/wake.hpp"
#include "pg/guards.hpp"

#include <signal.h>

namespace pgqueue::dispatch {
namespace {

enum class ActionKind {
    Namespace, Queue, DropQueue, DropNamespace, LeftGroup, Cancel, Finished, Awaited, Settle, Database, Identity, Wake, Refile, MoveLease, Ticker,
    Handlers, RunningGone
};

struct Action {
    SubTransactionId sub;
    ActionKind kind;
    SlotNo slot;
    union {
        NamespaceConfig ns;
        QueueConfig queue;
        Cancel cancel;
        int64 id;
        struct {
            int64 id;
            int32 count;
        } awaited;
        struct {
            uint64 key;
            int64 id;
        } left;
        struct {
            int64 id;
            uint64 key;
        } moved;
        struct {
            Oid oid;
            bool wanted;
        } database;
    };
};

constinit Notes<TaskNote> tasks{};
constinit Notes<CountNote> counts{};
constinit Notes<Action> actions{};
// Waiting tasks whose rows this transaction has locked or changed: whoever popped their hints meanwhile has skipped them.
constinit Notes<TaskNote> touched{};
constinit Packed packed{};
constinit SlotNo my_db = -1;

bool anything() { return tasks.count + counts.count + actions.count + touched.count > 0 || any_holds() || any_asked(); }
// Also when it was rolled back to a savepoint.
bool was_used() { return tasks.used() || counts.used() || actions.used() || touched.used() || has_noted_holds() || any_holds(); }

void give_reserved() {
    give_chain(packed.tasks);
    give_chain(packed.deltas);
    packed.tasks = packed.deltas = 0;
}

void push_inbox(pg_atomic_uint32 *inbox, PageNo no) {
    uint32 seen = pg_atomic_read_u32(inbox);
    do
        page(no)->next = seen;
    while (!pg_atomic_compare_exchange_u32(inbox, &seen, no));
}

// Counts change at once; while the database is loading the scheduler decides which deltas its snapshot has seen.
void hand_over_deltas() {
    DbState state = state_of(my_db);
    bool finished = false;
    for (int i = 0; i < counts.count; i++) {
        if (state == DbState::Ready) apply_delta(counts.items[i].delta);
        int from = counts.items[i].delta.from, to = counts.items[i].delta.to;
        bool of_rows = from < unhinted && to < unhinted;
        finished = finished || (of_rows && (to < 0 || to >= static_cast<int>(Status::Released)));
    }
    // The first finished or removed task after a quiet time has the scheduler think of cleaning again.
    if (finished && pg_atomic_read_u32(&database(my_db).cleaning_timer) == 0 && pg_atomic_exchange_u32(&database(my_db).cleaning_timer, 1) == 0)
        wake_scheduler(my_db);
    while (packed.deltas != 0) {
        PageNo no = packed.deltas;
        packed.deltas = page(no)->next;
        if (state == DbState::Loading)
            push_inbox(&database(my_db).delta_inbox, no);
        else
            give_page(no);
    }
}

// A hint: read without the lock.
bool is_paused(SlotNo queue) { return map.queues[queue].paused || map.namespaces[map.queues[queue].ns].paused; }

struct LaneCount {
    SlotNo lane;
    int n;
};

// How many tasks of which lanes are in a page; those of groups may be of several.
int count_lanes(const Page &p, LaneCount *out) {
    if (p.kind != PageKind::Grouped) {
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

// Those who may take new tasks of a lane. False: the scheduler has something to do for them, too.
bool wake_for(const LaneCount &c) {
    SlotNo role = map.lanes[c.lane].role;
    if (role >= 0) return wake_idle_workers(my_db, role, c.n) >= c.n;
    // Who waits for a paused queue is woken when it is resumed.
    if (!is_paused(map.lanes[c.lane].queue)) wake_task_waiters(map.lanes[c.lane].queue, c.n);
    return false;
}

// Pushes the task pages, oldest first, and wakes who can use them.
void hand_over_tasks() {
    PageNo oldest = 0;
    while (packed.tasks != 0) {
        PageNo next = page(packed.tasks)->next;
        page(packed.tasks)->next = oldest;
        oldest = packed.tasks;
        packed.tasks = next;
    }
    if (state_of(my_db) == DbState::Unserved) {
        bool had = oldest != 0;
        give_chain(oldest);
        if (had && pg_atomic_read_u32(&database(my_db).wanted) != 0) wake_launcher();
        return;
    }
    // Delayed tasks alone do not wake the scheduler, and stand in the inbox with all their pages.
    bool scheduler = oldest != 0 && free_pages() < low_water();
    while (oldest != 0) {
        Page *p = page(oldest);
        PageNo next = p->next;
        bool ready = p->kind != PageKind::Due;
        int64 earliest = ready ? p->min_dies : INT64_MAX;
        for (int i = 0; !ready && i < p->count; i++) earliest = Min(earliest, p->due[i].due);
        // A task of a group may wait for its time: then the scheduler has to know.
        for (int i = 0; p->kind == PageKind::Grouped && i < p->count; i++)
            if (p->hints[i].due != 0) earliest = Min(earliest, p->hints[i].due);
        LaneCount lanes[hints_per_page];
        int n = ready ? count_lanes(*p, lanes) : 0;
        push_inbox(&map.namespaces[map.queues[map.lanes[p->lane].queue].ns].inbox, oldest);
        for (int i = 0; i < n; i++) scheduler = !wake_for(lanes[i]) || scheduler;
        wake_scheduler_at(my_db, earliest);
        oldest = next;
    }
    if (scheduler) wake_scheduler_if_sleeping(my_db);
    if (pg_atomic_read_u32(&database(my_db).scheduler_procno) == 0) wake_scheduler(my_db);
}

// No further task starts; the scheduler, a new one when there is none, asks whose data it is and reads it again.
void look_at_identity() {
    if (my_db < 0) return;
    pg_atomic_fetch_add_u32(&database(my_db).identity_changed, 1);
    pg_atomic_write_u32(&database(my_db).wanted, 1);
    wake_scheduler(my_db);
    wake_launcher();
}

constinit int posts = 0;  // of this commit

// A commit with many leaves the places to others, and has the scheduler look at all that wait.
void post(int64 id) {
    constexpr int most = settle_posts / 4;
    if (posts++ < most)
        post_settle(my_db, id);
    else if (posts == most + 1)
        post_settle_all(my_db);
}

void run_action(const Action &a) {
    switch (a.kind) {
        case ActionKind::Namespace:
            pg_atomic_fetch_add_u32(&database(a.slot).config_changes, 1);
            configure_namespace(a.slot, a.ns);
            break;
        case ActionKind::Queue:
            pg_atomic_fetch_add_u32(&database(map.queues[a.slot].db).config_changes, 1);
            configure_queue(a.slot, a.queue);
            break;
        case ActionKind::DropQueue:
            drop_queue(a.slot);
            post_settle_all(my_db);
            break;
        case ActionKind::DropNamespace: drop_namespace(a.slot, static_cast<int32>(a.id)); break;
        case ActionKind::Cancel: cancel_worker(a.slot, a.cancel); break;
        case ActionKind::Finished:
            wake_result_waiters(my_db, a.id);
            if (may_be_awaited(my_db, a.id)) post(a.id);
            break;
        case ActionKind::Awaited: add_awaited(my_db, a.awaited.id, a.awaited.count); break;
        case ActionKind::Settle: post(a.id); break;
        case ActionKind::Wake:
        case ActionKind::LeftGroup:
        case ActionKind::RunningGone: break;
        case ActionKind::MoveLease: move_lease_to(a.moved.id, a.slot, a.moved.key); break;
        case ActionKind::Refile: want_refile(a.slot); break;
        case ActionKind::Ticker: post_ticker(my_db, static_cast<int32>(a.id)); break;
        case ActionKind::Handlers:
            if (a.slot >= 0) pg_atomic_write_u32(&map.namespaces[a.slot].handlers_changed, 1);
            pg_memory_barrier();
            if (my_db >= 0) pg_atomic_write_u32(&database(my_db).handlers_changed, 1);
            break;
        case ActionKind::Identity: look_at_identity(); break;
        case ActionKind::Database: {
            SlotNo db = find_database(a.database.oid);
            if (db < 0) break;
            if (a.database.wanted) pg_atomic_fetch_add_u32(&database(db).identity_changed, 1);
            pg_atomic_write_u32(&database(db).wanted, a.database.wanted ? 1 : 0);
            pg_atomic_write_u32(&database(db).no_extension, a.database.wanted ? 0 : 1);
            if (!a.database.wanted) {
                // Should the extension come back before the scheduler has left: nothing that memory knows is true any more.
                pg_atomic_write_u32(&database(db).current_segment, UINT32_MAX);
                read_rows_again(db);
                drop_everything(db);
            }
            wake_scheduler(db);
            wake_launcher();
            break;
        }
    }
}

// Hints tasks again that an abort has brought back, from the end down to those of other subtransactions (of all, when sub is invalid).
void bring_back(SubTransactionId sub) {
    bool any = false;
    for (; touched.count > 0 && (sub == InvalidSubTransactionId || touched.items[touched.count - 1].sub == sub); touched.count--) {
        const Hint &t = touched.items[touched.count - 1].hint;
        if (state_of(map.queues[map.lanes[t.lane].queue].db) == DbState::Unserved) continue;
        file_hint(t);
        any = true;
    }
    if (any && my_db >= 0) wake_scheduler(my_db);
}

// After the hand-over, which may bring what left its group back to another one.
void leave_groups() {
    for (int i = 0; i < actions.count; i++)
        if (const Action &a = actions.items[i]; a.kind == ActionKind::LeftGroup) leave_group(a.slot, a.left.key, a.left.id);
}

// After all queues have been dropped.
void cancel_gone() {
    for (int i = 0; i < actions.count; i++)
        if (actions.items[i].kind == ActionKind::RunningGone) cancel_running(actions.items[i].slot);
}

void forget_all() {
    end_asked(InvalidSubTransactionId);
    forget_holds();
    touched.reset();
    tasks.reset();
    counts.reset();
    actions.reset();
    packed.out_of_pages = false;
}

// What found no page may be of a group, whose order the next ones must not break.
void leave_out_groups() {
    int64 least = INT64_MAX;
    for (int i = 0; i < tasks.count; i++) {
        const Hint &h = tasks.items[i].hint;
        SlotNo ns = map.queues[map.lanes[h.lane].queue].ns;
        if (h.group != 0) least = Min(least, h.ref.id);
        bool last = i + 1 == tasks.count || map.queues[map.lanes[tasks.items[i + 1].hint.lane].queue].ns != ns;
        if (!last || least == INT64_MAX) continue;
        leave_out_from(ns, least);
        least = INT64_MAX;
    }
}

// After a quiet time: the scheduler looks in a while whether anything was forgotten.
void note_change() {
    constexpr int64 a_while = 20 * int64(USECS_PER_SEC);
    pg_atomic_uint32 *changed = &database(my_db).changed;
    if (pg_atomic_read_u32(changed) == 0 && pg_atomic_exchange_u32(changed, 1) == 0) wake_scheduler_by(my_db, pg::deadline_in(a_while));
}

void at_commit() {
    if (any_holds()) my_db = find_database(MyDatabaseId);
    posts = 0;
    for (int i = 0; i < actions.count; i++) run_action(actions.items[i]);
    cancel_gone();
    if (my_db >= 0) {
        hand_over_deltas();
        // First the hints: a task that is tried again is in its group before the group's place is free.
        hand_over_tasks();
        commit_holds(my_db);
        leave_groups();
        note_change();
        if (packed.out_of_pages) {
            leave_out_groups();
            pg_atomic_write_u32(&database(my_db).lost, 1);
            wake_scheduler(my_db);
        }
        for (int i = 0; i < actions.count; i++)
            if (actions.items[i].kind != ActionKind::Finished) {
                wake_scheduler(my_db);
                break;
            }
    }
    forget_all();
}

void on_xact(XactEvent event, void *) {
    switch (event) {
        case XACT_EVENT_PRE_COMMIT:
            if (tasks.count + counts.count > 0) pack(my_db, tasks, counts, &packed);
            break;
        case XACT_EVENT_COMMIT:
            // Also without notes: the memory of those that a subtransaction took back goes with the transaction.
            anything() ? at_commit() : forget_all();
            break;
        case XACT_EVENT_ABORT:
            if (packed.tasks != 0 || packed.deltas != 0) give_reserved();
            abort_holds(InvalidSubTransactionId);
            bring_back(InvalidSubTransactionId);
            note_rolled_back();
            forget_all();
            break;
        case XACT_EVENT_PRE_PREPARE:
            if (was_used())
                ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot PREPARE a transaction that has changed tasks or queues of pgqueue"),
                        errhint("Use COMMIT, or do the queue's work in a transaction of its own."));
            break;
        // Nothing is noted then; the memory of notes must not outlive the transaction all the same.
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
        tasks.forget(mine);
        counts.forget(mine);
        actions.forget(mine);
    } else if (event == SUBXACT_EVENT_COMMIT_SUB) {
        hand_up_holds(mine, parent);
        hand_up_asked(mine, parent);
        touched.hand_up(mine, parent);
        tasks.hand_up(mine, parent);
        counts.hand_up(mine, parent);
        actions.hand_up(mine, parent);
    }
}

// At the very end of a transaction, when its invalidations have been sent: who looks for an entry that it has dropped finds nothing any more.
void on_release(ResourceReleasePhase phase, bool, bool top_level, void *) {
    if (phase == RESOURCE_RELEASE_AFTER_LOCKS && top_level) end_use();
}

Action *add_action(ActionKind kind, SlotNo slot) {
    my_db = find_database(MyDatabaseId);
    Action *a = actions.add();
    a->kind = kind;
    a->slot = slot;
    return a;
}

}  // namespace

bool let_drops_pass() { return !was_used() && use_anew(); }

void apply_delta(const Delta &d) {
    if (d.from == edges || d.to == edges) {
        pg_atomic_fetch_add_u64(&map.namespaces[d.slot].edges, d.to == edges ? d.count : -d.count);
        return;
    }
    Queue &q = map.queues[d.slot];
    if (d.from >= 0) pg_atomic_fetch_sub_u64(&q.counts[d.from], d.count);
    if (d.to >= 0) pg_atomic_fetch_add_u64(&q.counts[d.to], d.count);
}

void note_task(const Hint &hint) {
    my_db = map.queues[map.lanes[hint.lane].queue].db;
    tasks.add()->hint = hint;
}

void note_touched(const Hint &hint) {
    my_db = map.queues[map.lanes[hint.lane].queue].db;
    touched.add()->hint = hint;
}

void note_count(SlotNo slot, int from, int to, int32 count) {
    bool of_namespace = from == edges || to == edges;
    my_db = of_namespace ? map.namespaces[slot].db : map.queues[slot].db;
    if (counts.count > 0) {
        CountNote &last = counts.items[counts.count - 1];
        if (last.sub == GetCurrentSubTransactionId() && last.delta.slot == slot && last.delta.from == from && last.delta.to == to) {
            last.delta.count += count;
            return;
        }
    }
    counts.add()->delta = Delta{slot, static_cast<int8>(from), static_cast<int8>(to), count};
}

int64 own_count(SlotNo queue, int status) {
    int64 sum = 0;
    for (int i = 0; i < counts.count; i++) {
        const Delta &d = counts.items[i].delta;
        if (d.slot != queue || d.from == edges || d.to == edges) continue;
        if (d.from == status) sum -= d.count;
        if (d.to == status) sum += d.count;
    }
    return sum;
}

void note_namespace_config(SlotNo db, const NamespaceConfig &config) { add_action(ActionKind::Namespace, db)->ns = config; }
void note_queue_config(SlotNo queue, const QueueConfig &config) { add_action(ActionKind::Queue, queue)->queue = config; }
void note_queue_drop(SlotNo queue) { add_action(ActionKind::DropQueue, queue); }
void note_namespace_drop(SlotNo db, int32 ns_id) { add_action(ActionKind::DropNamespace, db)->id = ns_id; }
void note_cancel(SlotNo worker, const Cancel &cancel) {
    const char *reason = kept_reason(cancel.reason);
    add_action(ActionKind::Cancel, worker)->cancel = {cancel.id, cancel.attempt, cancel.force, reason};
}
void note_running_gone(SlotNo queue) { add_action(ActionKind::RunningGone, queue); }
void note_left_group(SlotNo queue, uint64 key, int64 id) { add_action(ActionKind::LeftGroup, queue)->left = {key, id}; }
void note_finished(int64 id) { add_action(ActionKind::Finished, -1)->id = id; }
void note_awaited(int64 id, int32 count) { add_action(ActionKind::Awaited, -1)->awaited = {id, count}; }
void note_settle(int64 id) { add_action(ActionKind::Settle, -1)->id = id; }
void note_database(Oid oid, bool wanted) { add_action(ActionKind::Database, -1)->database = {oid, wanted}; }
void note_identity_change() { add_action(ActionKind::Identity, -1); }
void note_lease_moved(int64 id, SlotNo queue, uint64 key) { add_action(ActionKind::MoveLease, queue)->moved = {id, key}; }
void note_refile(SlotNo queue) { add_action(ActionKind::Refile, queue); }
void note_ticker(int32 id) { add_action(ActionKind::Ticker, -1)->id = id; }
void note_handlers(SlotNo ns) { add_action(ActionKind::Handlers, ns); }
void note_wake() { add_action(ActionKind::Wake, -1); }

void register_xact_callbacks() {
    RegisterXactCallback(on_xact, nullptr);
    RegisterSubXactCallback(on_subxact, nullptr);
    RegisterResourceReleaseCallback(on_release, nullptr);
}

}  // namespace pgqueue::dispatch
