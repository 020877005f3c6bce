#include "dispatch/ended_leases.hpp"

#include "dispatch/lease.hpp"
#include "dispatch/lease_entries.hpp"
#include "memory/pool.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

LeaseShare lease_share(const Namespace &ns) {
    auto used = ns.leases.load();
    return {ns.shares.leases, used, Max(int64(free_leases()) - spare_leases(), 0)};
}

int64 lease_room(const Namespace &ns, int64 reserved) {
    auto room = [&ns, reserved] {
        LeaseShare share = lease_share(ns);
        share.free += reserved;
        return share.room();
    };
    if (int64 n = room(); n > 0) return n;
    map.shared->leases_wanted.store(true);
    pg_memory_barrier();
    return room();
}

bool is_over(const Lease &l, const pg::Moment &now) {
    return l.ended || l.owed != Owed::Nothing || (l.time.ends != 0 && l.time.ends <= now.monotonic) ||
           (l.dies != 0 && l.dies <= now.wall);
}

int collect_ended(SlotNo db, const pg::Moment &now, SlotNo *from, Lease *out, int most) {
    int n = 0;
    if (*from == 0) {
        database(db).leases.min_ends.store(INT64_MAX);
        database(db).leases.min_dies.store(INT64_MAX);
    }
    SlotNo i = *from;
    for (; i < map.shared->n_leases && n < most; i++) {
        int64 id = map.leases[i].id;
        if (id == 0) continue;
        pg::LwLockGuard lock(lease_lock(id), LW_SHARED);
        Lease &l = map.leases[i];
        if (l.id != id || l.db != db) continue;
        if (is_over(l, now))
            out[n++] = l;
        else
            lower_lease_bound_by(db, l.time, l.dies);
    }
    *from = i < map.shared->n_leases ? i : -1;
    return n;
}

pg::Deadline next_lease_end(SlotNo db, const pg::Moment &now) {
    int64 dies = database(db).leases.min_dies.load();
    return Min(pg::Deadline{database(db).leases.min_ends.load()}, now.until(dies));
}

// Most leases are not over, so they are read without the lock first. The entries that are in use mostly come first:
// the search ends when it has seen as many as are in use.
OwedLook look_at_owed(SlotNo db, const pg::Moment &now, int64 patience) {
    OwedLook look{};
    int32 left = map.shared->n_leases - free_leases();
    for (SlotNo i = 0; i < map.shared->n_leases && left > 0; i++) {
        Lease l;
        if (is_in(map.leases[i], LeaseState::Free)) continue;
        left--;
        if (!is_over(map.leases[i], now) || !read_lease(i, db, &l) || !is_over(l, now)) continue;
        int64 since = l.owed != Owed::Nothing || l.time.ends == 0 ? l.time.given : l.time.ends;
        if (now.monotonic - since <= patience) continue;
        look.count++;
        if (now.monotonic - since <= look.waited) continue;
        look.waited = now.monotonic - since;
        look.first_id = l.id;
    }
    return look;
}

}  // namespace pgqueue::dispatch
