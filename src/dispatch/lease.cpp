#include "dispatch/lease.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/pool.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

// Entries taken for the statement that runs now, a chain through `next`.
constinit SlotNo reserved = -1;
constinit int n_reserved = 0;
// Bound leases that this session was given: an exit without any need not search.
constinit bool has_bound = false;

SlotNo *chain_of(int64 id) {
    return &map.lease_hash[murmurhash32(static_cast<uint32>(id) ^ static_cast<uint32>(static_cast<uint64>(id) >> 32)) / lease_locks * lease_locks %
                               static_cast<uint32>(map.lease_hash_size) +
                           static_cast<uint32>(lease_part(id))];
}

// receipt 0: any.
Lease *find_locked(int64 id, int64 receipt) {
    for (SlotNo l = *chain_of(id); l >= 0; l = map.leases[l].next)
        if (map.leases[l].id == id && (receipt == 0 || map.leases[l].receipt == receipt)) return &map.leases[l];
    return nullptr;
}

void give_to_session(Lease *l, Oid role) {
    l->session = MyProcPid;
    l->procno = pg::my_procno();
    l->role = role;
}

void lower(pg_atomic_uint64 *least, int64 value) {
    uint64 seen = pg_atomic_read_u64(least);
    while (value < static_cast<int64>(seen) && !pg_atomic_compare_exchange_u64(least, &seen, static_cast<uint64>(value))) {
    }
}

}  // namespace

void note_lease_end(SlotNo db, int64 when) { lower(&database(db).min_lease, when); }

void note_lease_ends(SlotNo db, const LeaseTime &time, TimestampTz dies) {
    if (time.ends != 0) note_lease_end(db, time.ends);
    if (dies != 0) lower(&database(db).min_lease_dies, dies);
}

bool reserve_leases(int count) {
    while (n_reserved < count) {
        SlotNo l = take_lease();
        if (l < 0) return false;
        map.leases[l].next = reserved;
        reserved = l;
        n_reserved++;
    }
    return true;
}

void unreserve_leases() {
    while (reserved >= 0) {
        SlotNo next = map.leases[reserved].next;
        give_lease(reserved);
        reserved = next;
    }
    n_reserved = 0;
}

void add_lease(const LeaseRequest &r) {
    SlotNo no = reserved;
    Lease &l = map.leases[no];
    reserved = l.next;
    n_reserved--;
    SlotNo db = map.queues[r.queue].db;
    {
        pg::LwLockGuard lock(lease_lock(r.ref.id));
        SlotNo *chain = chain_of(r.ref.id);
        l = Lease{r.ref.id, r.receipt, r.ref, db, r.queue, r.group, r.priority, r.attempt, r.time, r.dies, 0, -1, InvalidOid, r.bound, false, *chain};
        if (OidIsValid(r.role)) give_to_session(&l, r.role);
        *chain = no;
    }
    has_bound = has_bound || r.bound;
    note_lease_ends(db, r.time, r.dies);
}

bool find_lease(int64 id, Lease *out, int64 receipt) {
    pg::LwLockGuard lock(lease_lock(id), LW_SHARED);
    Lease *l = find_locked(id, receipt);
    if (l != nullptr) *out = *l;
    return l != nullptr;
}

bool read_lease(SlotNo no, SlotNo db, Lease *out) {
    int64 id = map.leases[no].id;
    if (id == 0) return false;
    pg::LwLockGuard lock(lease_lock(id), LW_SHARED);
    const Lease &l = map.leases[no];
    if (l.id != id || l.db != db) return false;
    *out = l;
    return true;
}

bool session_lives(const Lease &l) {
    return l.session != 0 && BackendPidGetProc(l.session) == &ProcGlobal->allProcs[l.procno];
}

bool take_lease_out(int64 id, int64 receipt, Place *place) {
    SlotNo gone = -1;
    {
        pg::LwLockGuard lock(lease_lock(id));
        for (SlotNo *link = chain_of(id); *link >= 0; link = &map.leases[*link].next) {
            Lease &l = map.leases[*link];
            // For a moment there may be two: the next holder's, and one that is about to go.
            if (l.id != id || l.receipt != receipt) continue;
            gone = *link;
            *place = {l.queue, l.group};
            *link = l.next;
            l.id = 0;
            break;
        }
    }
    if (gone >= 0) give_lease(gone);
    return gone >= 0;
}

bool drop_lease(int64 id, int64 receipt) {
    Place place;
    if (!take_lease_out(id, receipt, &place)) return false;
    end_running(place.queue, place.group);
    return true;
}

void move_lease_to(int64 id, SlotNo queue, uint64 key) {
    Place place{queue, key != 0 ? hold_in_group(queue, key) : 0};
    pg_atomic_fetch_add_u32(&map.queues[queue].running, 1);
    pg_atomic_fetch_add_u32(&map.namespaces[map.queues[queue].ns].running, 1);
    {
        pg::LwLockGuard lock(lease_lock(id));
        if (Lease *l = find_locked(id, 0)) {
            std::swap(l->queue, place.queue);
            std::swap(l->group, place.group);
        }
    }
    // The former place; the new one when the lease has ended meanwhile.
    end_running(place.queue, place.group);
}

void move_lease(int64 id, int64 receipt, const LeaseTime &time, Oid extender) {
    pg::LwLockGuard lock(lease_lock(id));
    Lease *l = find_locked(id, receipt);
    if (l == nullptr || l->time.given > time.given) return;
    l->time = time;
    if (!OidIsValid(l->role) && OidIsValid(extender)) give_to_session(l, extender);
    note_lease_ends(l->db, time, 0);
}

void end_session_leases() {
    if (!loaded() || !has_bound) return;
    has_bound = false;
    SlotNo db = -1;
    for (SlotNo i = 0; i < map.shared->n_leases; i++) {
        Lease &l = map.leases[i];
        if (l.id == 0 || l.session != MyProcPid || !l.bound) continue;
        pg::LwLockGuard lock(lease_lock(l.id));
        if (l.id != 0 && l.session == MyProcPid) {
            l.ended = true;
            db = l.db;
        }
    }
    if (db < 0) return;
    note_lease_end(db, 1);
    wake_scheduler(db);
}

bool is_over(const Lease &l, const pg::Moment &now) {
    return l.ended || (l.time.ends != 0 && l.time.ends <= now.monotonic) || (l.dies != 0 && l.dies <= now.wall);
}

int collect_ended(SlotNo db, const pg::Moment &now, SlotNo *from, Lease *out, int most) {
    int n = 0;
    if (*from == 0) {
        pg_atomic_write_u64(&database(db).min_lease, static_cast<uint64>(INT64_MAX));
        pg_atomic_write_u64(&database(db).min_lease_dies, static_cast<uint64>(INT64_MAX));
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
            note_lease_ends(db, l.time, l.dies);
    }
    *from = i < map.shared->n_leases ? i : -1;
    return n;
}

pg::Deadline next_lease_end(SlotNo db, const pg::Moment &now) {
    int64 dies = static_cast<int64>(pg_atomic_read_u64(&database(db).min_lease_dies));
    return Min(pg::Deadline{static_cast<int64>(pg_atomic_read_u64(&database(db).min_lease))}, now.until(dies));
}

void clear_leases(SlotNo db) {
    for (SlotNo i = 0; i < map.shared->n_leases; i++) {
        Lease l = map.leases[i];
        if (l.id != 0 && l.db == db) drop_lease(l.id, l.receipt);
    }
}

}  // namespace pgqueue::dispatch
