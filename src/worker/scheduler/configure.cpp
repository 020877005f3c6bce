// Copies the configuration to shared memory, resumes queues whose pause has ended, and reacts to changes of roles and
// handlers.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/apply.hpp"
#include "dispatch/look.hpp"
#include "dispatch/refile.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "store/catalog.hpp"
#include "store/handlers.hpp"
#include "store/queues.hpp"
#include "store/roles.hpp"
#include "store/statement.hpp"
#include "task/transitions.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

// How soon a queue whose row another transaction holds is tried again; twice as late each time.
constexpr int64 first_look = 50 * 1000, longest_look = USECS_PER_SEC / 2;

// Changes of roles come as syscache invalidations, and before these through Changes::roles.
constinit bool look_at_roles = true;
constinit bool watching = false;

void on_role_change(Datum, int, uint32) {
    look_at_roles = true;
    if (MyLatch != nullptr) SetLatch(MyLatch);
}

// Returns whether tasks are held whose role now exists.
bool any_held_needlessly() {
    auto *held = static_cast<bool *>(palloc0(static_cast<Size>(map.shared->n_roles)));
    if (!dispatch::any_held(self.db, held)) return false;
    for (SlotNo r = 0; r < map.shared->used_roles; r++)
        if (held[r] && OidIsValid(store::role_oid_of(map.roles[r].role_id))) return true;
    return false;
}

// Updates the names of renamed roles in stored rows, so that a dump finds them again, and finds the roles of restored
// rows by name. Returns false if some are left.
bool follow_names() {
    static constinit store::Statement follow{"SELECT pgqueue_internal.follow_roles()", 0, {}, nullptr};
    bool done = false;
    (void)store::run_as_self(
        &follow, nullptr, nullptr,
        [](void *to, const store::ResultRow &row) {
            bool null;
            *static_cast<bool *>(to) = DatumGetBool(row.get(1, &null));
        },
        &done);
    return done;
}

// Resumes queues whose pause has ended, except those whose row another transaction holds. Returns how many.
uint64 resume_queues() {
    static constinit store::Statement resume{
        "UPDATE pgqueue_internal.queue SET paused = false, paused_reason = NULL, paused_until = NULL "
        "WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT q.id FROM pgqueue_internal.queue q WHERE q.paused AND "
        "q.paused_until OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp() FOR NO KEY UPDATE SKIP LOCKED))",
        0,
        {},
        nullptr};
    return store::run_as_self(&resume, nullptr, nullptr, nullptr, nullptr);
}

}  // namespace

bool load_configuration() {
    auto load = [] {
        store::forget_catalog();
        for (const store::QueueInfo &q : store::read_queues()) {
            SlotNo slot = task::ensure_entry(q);
            dispatch::configure_queue(slot, q);
        }
        for (const store::NamespaceInfo &n : store::all_namespaces()) {
            memory::ensure_namespace(self.db, n.id);
            dispatch::configure_namespace(self.db, {n.id, n.weight, n.max_running, n.paused, n.shares});
        }
    };
    // If a commit changes the configuration while the tables are read, its changes are newer. Such commits may come
    // without end, so after a few tries the next turn reads the tables again.
    constexpr int most_tries = 3;
    for (int tries = 0; tries < most_tries; tries++) {
        uint32 seen = my_db().changes.count.load();
        if (IsTransactionState())
            load();
        else if (!transact("read its configuration", load))
            return false;
        if (my_db().changes.count.load() == seen) return true;
    }
    my_db().changes.reload.store(true);
    return true;
}

pg::Deadline follow_configuration(const pg::Moment &now) {
    pg::Atomic<bool> &reload = my_db().changes.reload;
    if (reload.exchange(false) && !load_configuration()) reload.store(true);
    return reload.load() ? now.in(USECS_PER_SEC) : never;
}

pg::Deadline resume_paused(const pg::Moment &now) {
    static constinit pg::Deadline again{};
    static constinit int64 wait = first_look;
    pg::Deadline next = never;
    uint64 due = 0;
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        const memory::Queue &queue = map.queues[q];
        if (!queue.used || queue.db != self.db || !queue.paused || queue.paused_until == 0) continue;
        if (queue.paused_until <= now.wall)
            due++;
        else
            next = Min(next, now.until(queue.paused_until));
    }
    if (due == 0) {
        wait = first_look;
        again = {};
        return next;
    }
    if (!again.passed(now)) return Min(next, again);
    uint64 resumed = 0;
    (void)transact("resume queues", [&resumed] { resumed = resume_queues(); });
    // The others stay paused in shared memory, which marks them as still to be resumed.
    if (resumed >= due) return next;
    again = now.in(wait);
    wait = Min(2 * wait, longest_look);
    return Min(next, again);
}

pg::Deadline follow_roles(const pg::Moment &now) {
    static constinit pg::Deadline again = never;  // when names are checked again
    if (!watching) {
        CacheRegisterSyscacheCallback(AUTHOID, on_role_change, Datum(0));
        watching = true;
    }
    if (my_db().changes.roles.exchange(false)) look_at_roles = true;
    bool handlers = my_db().changes.handlers.exchange(false);
    if (handlers) store::forget_handlers();
    if (!look_at_roles && !handlers && !again.passed(now)) return again;
    bool names = look_at_roles || again.passed(now);
    look_at_roles = false;
    bool done = true, needlessly = false;
    bool ok = transact("follow changes of roles", [names, &done, &needlessly] {
        if (names) done = follow_names();
        needlessly = any_held_needlessly();
    });
    // Tasks that are held may be ready now, or for another role.
    if (handlers || needlessly) dispatch::refile_held(self.db, needlessly);
    if (!ok && handlers) my_db().changes.handlers.store(true);
    if (names || !ok) again = ok && done ? never : now.in(USECS_PER_SEC);
    return again;
}

}  // namespace pgqueue::worker::scheduler
