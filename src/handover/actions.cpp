#include "handover/actions.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/refile.hpp"
#include "handover/notes.hpp"
#include "memory/wake.hpp"
#include "signal/dependency_posts.hpp"
#include "signal/ticker_posts.hpp"

namespace pgqueue::handover {
namespace {

enum class ActionKind {
    Namespace,
    Queue,
    DropQueue,
    DropNamespace,
    LeftGroup,
    Cancel,
    Finished,
    Awaited,
    Settle,
    Database,
    Identity,
    Refile,
    MoveLease,
    Ticker,
    Handlers,
    Failure,
    RunningGone
};

struct Action {
    SubTransactionId sub;
    ActionKind kind;
    SlotNo slot;
    union {
        dispatch::NamespaceConfig ns;
        QueueSettings queue;
        signal::Cancel cancel;
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

constinit Notes<Action> actions{};

// Starts no further task. The scheduler, a new one if there is none, checks the identity of the data and reads it
// again.
void look_at_identity(SlotNo db) {
    database(db).service.identity_changed.fetch_add(1);
    database(db).service.wanted.store(true);
    wake_scheduler(db);
    wake_launcher();
}

// Of this commit: its posts, and the last namespace of which all waiting tasks are checked.
constinit int posts = 0;
constinit SlotNo posted_all = -1;

// Posts a task of a namespace to the scheduler. A commit with many posts leaves the places to other commits, and makes
// the scheduler check all waiting tasks of the namespace. A queue without an entry was deleted, and that has made the
// scheduler check them.
void post(SlotNo ns, int64 id) {
    constexpr int most = settle_posts / 4;
    if (ns < 0 || ns == posted_all) return;
    if (posts++ < most) {
        signal::post_settle(ns, id);
    } else {
        signal::post_settle_namespace(ns);
        posted_all = ns;
    }
}

// ns: -1 all.
void mark_handlers(SlotNo db, SlotNo ns) {
    if (ns >= 0) map.namespaces[ns].handlers_changed.store(true);
    pg_memory_barrier();
    database(db).changes.handlers.store(true);
}

void tell_listeners_of_failure(SlotNo db, SlotNo queue) {
    map.queues[queue].failures_unnotified.store(true);
    database(db).waiters.unnotified.store(true);
    if (database(db).waiters.listened.load()) wake_scheduler_if_sleeping(db);
}

// The extension was created in a database or dropped there.
void follow_extension(Oid oid, bool created) {
    const SlotNo db = find_database(oid);
    if (db < 0) return;
    if (created) database(db).service.identity_changed.fetch_add(1);
    database(db).service.wanted.store(created);
    database(db).service.no_extension.store(!created);
    if (!created) {
        // It may come back before the scheduler has left. Then nothing in shared memory is true any more.
        database(db).current_segment.store(-1);
        read_rows_again(db);
        dispatch::drop_everything(db);
    }
    wake_scheduler(db);
    wake_launcher();
}

void run_action(SlotNo db, const Action &a) {
    switch (a.kind) {
        case ActionKind::Namespace:
            database(a.slot).changes.count.fetch_add(1);
            dispatch::configure_namespace(a.slot, a.ns);
            break;
        case ActionKind::Queue:
            database(map.queues[a.slot].db).changes.count.fetch_add(1);
            dispatch::configure_queue(a.slot, a.queue);
            break;
        case ActionKind::DropQueue:
            dispatch::drop_queue(a.slot);
            signal::post_settle_namespace(map.queues[a.slot].ns);
            break;
        case ActionKind::DropNamespace:
            dispatch::drop_namespace(a.slot, static_cast<int32>(a.id));
            signal::post_settle_all(db);
            break;
        case ActionKind::Cancel: signal::cancel_worker(a.slot, a.cancel); break;
        case ActionKind::Finished:
            wake_result_waiters(db, a.id);
            if (signal::may_be_awaited(db, a.id)) post(a.slot, a.id);
            break;
        case ActionKind::Awaited: signal::add_awaited(db, a.awaited.id, a.awaited.count); break;
        case ActionKind::Settle: post(a.slot, a.id); break;
        case ActionKind::LeftGroup:
        case ActionKind::RunningGone: break;
        case ActionKind::MoveLease: dispatch::transfer_lease(a.moved.id, a.slot, a.moved.key); break;
        case ActionKind::Refile: dispatch::want_refile(a.slot); break;
        case ActionKind::Ticker: signal::post_ticker(db, static_cast<int32>(a.id)); break;
        case ActionKind::Handlers: mark_handlers(db, a.slot); break;
        case ActionKind::Failure: tell_listeners_of_failure(db, a.slot); break;
        case ActionKind::Identity: look_at_identity(db); break;
        case ActionKind::Database: follow_extension(a.database.oid, a.database.wanted); break;
    }
}

// Runs after all queues have been dropped.
void cancel_gone() {
    for (int i = 0; i < actions.count; i++)
        if (actions.items[i].kind == ActionKind::RunningGone) signal::cancel_running(actions.items[i].slot);
}

Action *add_action(ActionKind kind, SlotNo slot) {
    Action *a = actions.add();
    a->kind = kind;
    a->slot = slot;
    return a;
}

}  // namespace

bool any_actions() { return actions.count > 0; }
bool were_actions() { return actions.used(); }
void forget_actions(SubTransactionId sub) { sub == InvalidSubTransactionId ? actions.reset() : actions.forget(sub); }
void hand_up_actions(SubTransactionId sub, SubTransactionId parent) { actions.hand_up(sub, parent); }

void run_actions(SlotNo db) {
    posts = 0;
    posted_all = -1;
    // Without an entry, shared memory has nothing of the database. The launcher may have dropped the entry since the
    // action was noted.
    for (int i = 0; i < actions.count; i++)
        if (db >= 0 || actions.items[i].kind == ActionKind::Database) run_action(db, actions.items[i]);
    if (db >= 0) cancel_gone();
}

void leave_groups() {
    for (int i = 0; i < actions.count; i++)
        if (const Action &a = actions.items[i]; a.kind == ActionKind::LeftGroup)
            dispatch::leave_group(a.slot, a.left.key, a.left.id);
}

bool concern_scheduler() {
    for (int i = 0; i < actions.count; i++)
        if (actions.items[i].kind != ActionKind::Finished && actions.items[i].kind != ActionKind::Failure) return true;
    return false;
}

void configure_namespace_at_commit(SlotNo db, const dispatch::NamespaceConfig &config) {
    add_action(ActionKind::Namespace, db)->ns = config;
}
void configure_queue_at_commit(SlotNo queue, const QueueSettings &settings) {
    add_action(ActionKind::Queue, queue)->queue = settings;
}
void notify_failure_at_commit(SlotNo queue) {
    // Once for many tasks that fail in a call.
    if (actions.count > 0)
        if (const Action &last = actions.items[actions.count - 1];
            last.kind == ActionKind::Failure && last.slot == queue && last.sub == GetCurrentSubTransactionId())
            return;
    add_action(ActionKind::Failure, queue);
}
void drop_queue_at_commit(SlotNo queue) { add_action(ActionKind::DropQueue, queue); }
void drop_namespace_at_commit(SlotNo db, int32 ns_id) { add_action(ActionKind::DropNamespace, db)->id = ns_id; }
void cancel_at_commit(SlotNo worker, const signal::Cancel &cancel) {
    const char *reason = signal::kept_reason(cancel.reason);
    add_action(ActionKind::Cancel, worker)->cancel = {cancel.id, cancel.attempt, cancel.force, reason};
}
void cancel_running_at_commit(SlotNo queue) { add_action(ActionKind::RunningGone, queue); }
void leave_group_at_commit(SlotNo queue, uint64 key, int64 id) {
    add_action(ActionKind::LeftGroup, queue)->left = {key, id};
}
void finish_at_commit(SlotNo ns, int64 id) { add_action(ActionKind::Finished, ns)->id = id; }
void add_awaited_at_commit(int64 id, int32 count) { add_action(ActionKind::Awaited, -1)->awaited = {id, count}; }
void settle_at_commit(SlotNo ns, int64 id) { add_action(ActionKind::Settle, ns)->id = id; }
void serve_at_commit(Oid oid, bool wanted) { add_action(ActionKind::Database, -1)->database = {oid, wanted}; }
void check_identity_at_commit() { add_action(ActionKind::Identity, -1); }
void move_lease_at_commit(int64 id, SlotNo queue, uint64 key) {
    add_action(ActionKind::MoveLease, queue)->moved = {id, key};
}
void refile_at_commit(SlotNo queue) { add_action(ActionKind::Refile, queue); }
void read_ticker_at_commit(int32 id) { add_action(ActionKind::Ticker, -1)->id = id; }
void read_handlers_at_commit(SlotNo ns) { add_action(ActionKind::Handlers, ns); }

}  // namespace pgqueue::handover
