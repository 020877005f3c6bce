#include "dispatch/lease.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/lease_entries.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/reserved_leases.hpp"
#include "dispatch/session_leases.hpp"
#include "memory/pool.hpp"
#include "memory/users.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

SlotNo *chain_of(int64 id) {
    return &map.lease_hash[murmurhash32(static_cast<uint32>(id) ^ static_cast<uint32>(static_cast<uint64>(id) >> 32)) /
                               lease_locks * lease_locks % static_cast<uint32>(map.lease_hash_size) +
                           static_cast<uint32>(lease_part(id))];
}

// Returns whether the entry is the lease of this task in a database. For a moment a task may have two entries: that of
// its next holder, and one that is about to be freed. Without a receipt (0), an entry that is to be put back or charged
// does not count.
bool is_of(const Lease &l, SlotNo db, int64 id, int64 receipt) {
    if (l.id != id || l.db != db) return false;
    return receipt == 0 ? l.owed != Owed::PutBack && l.owed != Owed::Charge : l.receipt == receipt;
}

Lease *find_locked(int64 id, int64 receipt) {
    SlotNo db = my_database();
    for (SlotNo l = *chain_of(id); l >= 0; l = map.leases[l].next)
        if (is_of(map.leases[l], db, id, receipt)) return &map.leases[l];
    return nullptr;
}

void lower(Atomic<int64> *least, int64 value) {
    int64 seen = least->load();
    while (value < seen && !least->compare_exchange(&seen, value)) {
    }
}

}  // namespace

void lower_lease_bound(SlotNo db, int64 when) { lower(&database(db).leases.min_ends, when); }

void lower_lease_bound_by(SlotNo db, const LeaseTime &time, TimestampTz dies) {
    if (time.ends != 0) lower_lease_bound(db, time.ends);
    if (dies != 0) lower(&database(db).leases.min_dies, dies);
}

namespace {

// Makes an entry Held and puts it into the hash chain of its task.
void publish(SlotNo no, Lease *made) {
    if (!is_in(lease(no), LeaseState::Popped)) count_lease(made->queue, 1);
    made->state.init(LeaseState::Held);
    made->id = made->ref.id;
    made->db = map.queues[made->queue].db;
    pg::LwLockGuard lock(lease_lock(made->id));
    SlotNo *chain = chain_of(made->id);
    made->next = *chain;
    lease(no) = *made;
    *chain = no;
}

// Makes an entry from a request. Request: LeaseRequest or OwedRow.
template <typename Request>
Lease lease_of(const Request &r, Owed owed) {
    Lease made{};
    made.receipt = r.receipt;
    made.ref = r.ref;
    made.queue = r.queue;
    made.group = r.group;
    made.priority = r.priority;
    made.attempt = r.attempt;
    made.procno = -1;
    made.owed = owed;
    return made;
}

}  // namespace

void add_lease(SlotNo no, const LeaseRequest &r) {
    Lease made = lease_of(r, r.owed);
    made.time = r.time;
    made.dies = r.dies;
    made.bound = r.bound;
    if (OidIsValid(r.role)) give_to_session(&made, r.role);
    forget_unheld(no);
    publish(no, &made);
    lower_lease_bound_by(made.db, r.time, r.dies);
    if (r.owed != Owed::Nothing) lower_lease_bound(made.db, 1);
}

bool owe(const OwedRow &r) {
    SlotNo no = take_lease();
    if (no < 0) return false;
    int64 now = pg::monotonic_now();
    Lease made = lease_of(r, r.what);
    made.time = {now, now + r.order, 0};
    publish(no, &made);
    if (r.what == Owed::Charge) database(made.db).leases.charges_owed.fetch_add(1);
    lower_lease_bound(made.db, 1);
    return true;
}

void forget_owed(int64 id, int64 receipt) {
    pg::LwLockGuard lock(lease_lock(id));
    if (Lease *l = find_locked(id, receipt)) l->owed = Owed::Nothing;
}

bool is_to_be_charged(int64 id) {
    pg::LwLockGuard lock(lease_lock(id), LW_SHARED);
    for (SlotNo l = *chain_of(id); l >= 0; l = map.leases[l].next)
        if (map.leases[l].id == id && map.leases[l].db == my_database() && map.leases[l].owed == Owed::Charge)
            return true;
    return false;
}

bool has_hold(const WorkerSlot &w, int64 id, int64 receipt) {
    int n = Min(w.n_holds.load(), max_batch);
    for (int i = 0; i < n; i++)
        if (const Hold &h = w.holds[i]; h.ref.id == id && h.receipt == receipt && h.state.load() != HoldState::None)
            return true;
    return false;
}

SlotNo worker_with(pid_t pid, int64 id, int64 receipt) {
    for (SlotNo i = 0; i < max_workers; i++) {
        const WorkerSlot &w = map.shared->workers[i];
        if (w.db >= 0 && w.pid == pid && pid != 0 && database(w.db).oid == MyDatabaseId && has_hold(w, id, receipt))
            return i;
    }
    return -1;
}

bool is_held_by_anybody(SlotNo db, int64 id, int64 receipt) {
    Lease l;
    if (find_lease(id, &l, receipt)) return true;
    for (const WorkerSlot &w : map.shared->workers)
        if (w.db == db && has_hold(w, id, receipt)) return true;
    return false;
}

bool is_held_outside(SlotNo queue) {
    int32 held = map.queues[queue].running.load();
    for (const WorkerSlot &w : map.shared->workers) {
        if (held <= 0) return false;
        const int n = Min(w.n_holds.load(), max_batch);
        for (int i = 0; i < n; i++) held -= w.holds[i].queue == queue && w.holds[i].state.load() != HoldState::None;
    }
    return held > 0;
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

namespace {

bool take_out(SlotNo db, int64 id, int64 receipt, LimitPlace *place) {
    SlotNo gone = -1;
    {
        pg::LwLockGuard lock(lease_lock(id));
        for (SlotNo *link = chain_of(id); *link >= 0; link = &map.leases[*link].next) {
            Lease &l = map.leases[*link];
            if (l.id != id || l.db != db || l.receipt != receipt) continue;
            if (l.owed == Owed::Charge) database(db).leases.charges_owed.fetch_sub(1);
            take_from_session(l);
            gone = *link;
            *place = {l.queue, l.group};
            *link = l.next;
            l.id = 0;
            break;
        }
    }
    if (gone < 0) return false;
    count_lease(place->queue, -1);
    free_lease(gone);
    return true;
}

}  // namespace

bool take_lease_out(int64 id, int64 receipt, LimitPlace *place) { return take_out(my_database(), id, receipt, place); }

bool drop_lease(int64 id, int64 receipt) {
    LimitPlace place;
    if (!take_lease_out(id, receipt, &place)) return false;
    end_running(place.queue, place.group);
    return true;
}

void transfer_lease(int64 id, SlotNo queue, uint64 key) {
    LimitPlace place{queue, key != 0 ? hold_in_group(queue, key) : 0};
    take_places(queue);
    {
        pg::LwLockGuard lock(lease_lock(id));
        if (Lease *l = find_locked(id, 0)) {
            std::swap(l->queue, place.queue);
            std::swap(l->group, place.group);
        }
    }
    // This is the former place, or the new one if the lease has ended meanwhile.
    end_running(place.queue, place.group);
}

void set_lease_end(int64 id, int64 receipt, const LeaseTime &time, Oid extender) {
    pg::LwLockGuard lock(lease_lock(id));
    Lease *l = find_locked(id, receipt);
    if (l == nullptr || l->time.given > time.given) return;
    l->time = time;
    if (!OidIsValid(l->role) && OidIsValid(extender)) give_to_session(l, extender);
    lower_lease_bound_by(l->db, time, 0);
}

namespace {

// Ends the leases for which is_meant(const Lease &) returns true.
template <typename F>
void clear(SlotNo db, F is_meant) {
    for (SlotNo i = 0; i < map.shared->n_leases; i++) {
        Lease l;
        if (!read_lease(i, db, &l) || !is_meant(l)) continue;
        LimitPlace place;
        if (take_out(db, l.id, l.receipt, &place)) end_running(place.queue, place.group);
    }
}

}  // namespace

void clear_leases(SlotNo db) {
    clear(db, [](const Lease &) { return true; });
}

void clear_leases_of_dropped(SlotNo db, uint64 until) {
    clear(db, [until](const Lease &l) { return is_put_down(map.queues[l.queue], until); });
}

}  // namespace pgqueue::dispatch
