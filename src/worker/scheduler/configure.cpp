// Copies of the configuration in shared memory, queues that resume by themselves, and what follows when roles or handlers have changed.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/look.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/wake.hpp"
#include "pg/guards.hpp"
#include "store/catalog.hpp"
#include "store/handlers.hpp"
#include "store/roles.hpp"
#include "task/lifecycle.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::map;

// Changes of roles come as syscache invalidations, and before that by roles_changed.
constinit bool look_at_roles = true;
constinit bool watching = false;

void on_role_change(Datum, int, uint32) {
    look_at_roles = true;
    if (MyLatch != nullptr) SetLatch(MyLatch);
}

// Whether tasks are held whose role exists by now.
bool any_held_needlessly() {
    auto *held = static_cast<bool *>(palloc0(static_cast<Size>(map.shared->n_roles)));
    if (!dispatch::any_held(self.db, held)) return false;
    for (SlotNo r = 0; r < map.shared->used_roles; r++)
        if (held[r] && OidIsValid(store::role_oid_of(map.roles[r].role_id))) return true;
    return false;
}

// Names in stored rows follow renamed roles, so that a dump finds them again, and restored rows get the roles of their names. False: not all yet.
bool follow_names() {
    pg::SpiSession spi;
    pg::ActiveSnapshot snapshot;
    SPI_execute("SELECT pgqueue_internal.follow_roles()", false, 1);
    bool isnull;
    return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

}  // namespace

bool load_configuration() {
    auto load = [] {
        store::forget_catalog();
        for (const store::QueueInfo &q : store::all_queues()) {
            SlotNo slot = task::slot_of(q);
            dispatch::configure_queue(slot, task::config_of(q));
        }
        for (const store::NamespaceInfo &n : store::all_namespaces()) {
            dispatch::ensure_namespace(self.db, n.id);
            dispatch::configure_namespace(self.db, {n.id, n.weight, n.max_running, n.paused, n.shares});
        }
    };
    // What a commit writes while the tables are read is newer.
    uint32 seen;
    do {
        seen = pg_atomic_read_u32(&my_db().config_changes);
        if (IsTransactionState())
            load();
        else if (!transact("read its configuration", load))
            return false;
    } while (pg_atomic_read_u32(&my_db().config_changes) != seen);
    return true;
}

pg::Deadline resume_paused(const pg::Moment &now) {
    pg::Deadline next = never;
    bool due = false;
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        const dispatch::Queue &queue = map.queues[q];
        if (!queue.used || queue.db != self.db || !queue.paused || queue.paused_until == 0) continue;
        if (queue.paused_until <= now.wall)
            due = true;
        else
            next = Min(next, now.until(queue.paused_until));
    }
    if (!due) return next;
    bool ok = transact("resume queues", [] {
        pg::SpiSession spi;
        pg::ActiveSnapshot snapshot;
        SPI_execute("UPDATE pgqueue_internal.queue SET paused = false, paused_reason = NULL, paused_until = NULL WHERE paused AND paused_until <= clock_timestamp()", false, 0);
    });
    return ok ? next : Min(next, now.in(USECS_PER_SEC));
}

pg::Deadline follow_roles(const pg::Moment &now) {
    static constinit pg::Deadline again = never;  // names are looked at then
    if (!watching) {
        CacheRegisterSyscacheCallback(AUTHOID, on_role_change, Datum(0));
        watching = true;
    }
    if (pg_atomic_exchange_u32(&my_db().roles_changed, 0) != 0) look_at_roles = true;
    bool handlers = pg_atomic_exchange_u32(&my_db().handlers_changed, 0) != 0;
    if (handlers) store::forget_handlers();
    if (!look_at_roles && !handlers && !again.passed(now)) return again;
    bool names = look_at_roles || again.passed(now);
    look_at_roles = false;
    bool done = true, reread = handlers && dispatch::any_held(self.db, nullptr);
    bool ok = transact("follow changes of roles", [names, &done, &reread] {
        if (names) done = follow_names();
        reread = reread || any_held_needlessly();
    });
    // Tasks that are held may be ready now, or another role's.
    if (reread) pg_atomic_write_u32(&my_db().lost, 1);
    if (!ok && handlers) pg_atomic_write_u32(&my_db().handlers_changed, 1);
    if (names || !ok) again = ok && done ? never : now.in(USECS_PER_SEC);
    return reread ? now.in(0) : again;
}

}  // namespace pgqueue::worker::scheduler
