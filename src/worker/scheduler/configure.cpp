// Copies of the configuration in shared memory, queues that resume by themselves, and the dictionary of roles.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/wake.hpp"
#include "pg/guards.hpp"
#include "store/catalog.hpp"
#include "task/lifecycle.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::map;

// Changes of roles (rename, drop) come as syscache invalidations and mark the dictionary for a look.
constinit bool look_at_roles = true;
constinit bool watching = false;

void on_role_change(Datum, int, uint32) {
    look_at_roles = true;
    if (MyLatch != nullptr) SetLatch(MyLatch);
}

bool known_to_dictionary(int32 role_id, const char *name) {
    for (const store::RoleInfo &r : store::all_roles())
        if (r.id == role_id) return name == nullptr || strcmp(r.name, name) == 0;
    return false;
}

// Writes what the dictionary lacks for one role in use: its row, or its new name.
void write_role(dispatch::Role &role) {
    Oid oid = store::role_oid_of(role.role_id);
    role.missing = !OidIsValid(oid);
    role.oid = oid;
    if (role.missing) return;
    char *name = GetUserNameFromId(oid, true);
    if (name == nullptr || known_to_dictionary(role.role_id, name)) return;
    Oid types[3] = {INT4OID, OIDOID, TEXTOID};
    Datum values[3] = {Int32GetDatum(role.role_id), ObjectIdGetDatum(oid), CStringGetTextDatum(name)};
    pg::SpiSession spi;
    SPI_execute_with_args("INSERT INTO pgqueue_internal.role (id, oid, name) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET name = excluded.name", 3, types, values,
                          nullptr, false, 0);
}

// Names in the catalog follow renamed roles, so that a dump finds them again.
constexpr const char *refresh_names =
    "WITH n AS (UPDATE pgqueue_internal.namespace n SET owner_name = a.rolname FROM pg_catalog.pg_authid a WHERE a.oid = n.owner AND a.rolname <> n.owner_name), "
    "r AS (UPDATE pgqueue_internal.role r SET name = a.rolname FROM pg_catalog.pg_authid a WHERE a.oid = r.oid AND a.rolname <> r.name), "
    "h AS (UPDATE pgqueue_internal.handler h SET role_name = a.rolname FROM pg_catalog.pg_authid a WHERE a.oid = h.role AND a.rolname <> h.role_name), "
    "t AS (UPDATE pgqueue_internal.ticker t SET role_name = a.rolname FROM pg_catalog.pg_authid a WHERE a.oid = t.role AND a.rolname <> t.role_name), "
    "d AS (DELETE FROM pgqueue_internal.namespace_grant g WHERE g.role <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_authid a WHERE a.oid = g.role)) "
    "UPDATE pgqueue_internal.namespace_grant g SET role_name = a.rolname FROM pg_catalog.pg_authid a WHERE a.oid = g.role AND a.rolname <> g.role_name";

}  // namespace

void load_configuration() {
    auto load = [] {
        store::forget_catalog();
        for (const store::QueueInfo &q : store::all_queues()) {
            SlotNo slot = task::slot_of(q);
            dispatch::configure_queue(slot, task::config_of(q));
        }
        for (const store::NamespaceInfo &n : store::all_namespaces()) {
            dispatch::ensure_namespace(self.db, n.id);
            dispatch::configure_namespace(self.db, {n.id, n.weight, n.max_running, n.paused});
        }
    };
    // What a commit writes while the tables are read is newer.
    uint32 seen;
    do {
        seen = pg_atomic_read_u32(&my_db().config_changes);
        if (IsTransactionState())
            load();
        else
            transact("read its configuration", load);
    } while (pg_atomic_read_u32(&my_db().config_changes) != seen);
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

void write_roles() {
    if (!watching) {
        CacheRegisterSyscacheCallback(AUTHOID, on_role_change, Datum(0));
        watching = true;
    }
    bool new_role = false;
    for (SlotNo r = 0; r < map.shared->used_roles; r++)
        new_role = new_role || (map.roles[r].used && map.roles[r].db == self.db && !map.roles[r].recorded);
    if (pg_atomic_exchange_u32(&my_db().roles_changed, 0) != 0) look_at_roles = true;
    if (!new_role && !look_at_roles) return;
    bool refresh = look_at_roles;
    look_at_roles = false;
    transact("write the dictionary of roles", [refresh] {
        pg::ActiveSnapshot snapshot;
        for (SlotNo r = 0; r < map.shared->used_roles; r++) {
            dispatch::Role &role = map.roles[r];
            if (!role.used || role.db != self.db) continue;
            if (refresh || !role.recorded) write_role(role);
            role.recorded = true;
        }
        if (refresh) {
            pg::SpiSession spi;
            SPI_execute(refresh_names, false, 0);
        }
    });
}

}  // namespace pgqueue::worker::scheduler
