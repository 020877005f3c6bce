#include "dispatch/lease.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/ready.hpp"
#include "memory/pool.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

// The entries of this process that are not Held.
constinit SlotNo unheld[most_unheld] = {};
constinit int n_unheld = 0;
// Leases that this session was given and has not ended itself: an exit without any need not search.
constinit int mine = 0;
// 0: not known yet.
constinit uint64 my_session = 0;

SlotNo *chain_of(int64 id) {
    return &map.lease_hash[murmurhash32(static_cast<uint32>(id) ^ static_cast<uint32>(static_cast<uint64>(id) >> 32)) /
                               lease_locks * lease_locks % static_cast<uint32>(map.lease_hash_size) +
                           static_cast<uint32>(lease_part(id))];
}

// The entry of this process's database.
SlotNo my_database() {
    static constinit SlotNo db = -1;
    if (db < 0 || !database(db).used || database(db).oid != MyDatabaseId) db = find_database(MyDatabaseId);
    return db;
}

// Is it the holder of this task in a database? For a moment there may be two: the next holder's, and one that is about
// to go. Without a receipt (0) what is put back, or charged, counts for none.
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

void set_state(Lease *l, LeaseState state) {
    pg_write_barrier();
    l->state.store(state);
}

bool is_in(const Lease &l, LeaseState state) { return l.state.load() == state; }

// The leases of the namespace of a queue are so many more.
void count_lease(SlotNo queue, int more) { map.namespaces[map.queues[queue].ns].leases.fetch_add(more); }

// There is an entry more for those who found none, whatever their database.
void tell_of_room() {
    pg_memory_barrier();
    Atomic<bool> *wanted = &map.shared->leases_wanted;
    if (!wanted->load() || !wanted->exchange(false)) return;
    for (SlotNo db = 0; db < max_databases; db++)
        if (database(db).used && database(db).waiters.tasks.load() != 0) wake_scheduler(db);
}

void free_lease(SlotNo no) {
    set_state(&lease(no), LeaseState::Free);
    give_lease(no);
    tell_of_room();
}

void forget_unheld(SlotNo no) {
    for (int i = 0; i < n_unheld; i++)
        if (unheld[i] == no) unheld[i] = unheld[--n_unheld];
}

// The number of this session, which no other one has while the server lives.
uint64 session_no() {
    if (my_session == 0) my_session = map.shared->sessions.fetch_add(1) + 1;
    return my_session;
}

void give_to_session(Lease *l, Oid role) {
    l->session = MyProcPid;
    l->session_no = session_no();
    l->procno = pg::my_procno();
    l->role = role;
    mine++;
}

void lower(Atomic<int64> *least, int64 value) {
    int64 seen = least->load();
    while (value < seen && !least->compare_exchange(&seen, value)) {
    }
}

}  // namespace

void note_lease_end(SlotNo db, int64 when) { lower(&database(db).leases.min_ends, when); }

void note_lease_ends(SlotNo db, const LeaseTime &time, TimestampTz dies) {
    if (time.ends != 0) note_lease_end(db, time.ends);
    if (dies != 0) lower(&database(db).leases.min_dies, dies);
}

std::span<const SlotNo> reserve_leases(int count) {
    give_leases_back_at_exit();
    while (n_unheld < Min(count, most_unheld)) {
        SlotNo no = free_leases() > spare_leases() ? take_lease() : -1;
        if (no < 0) break;
        Lease &l = lease(no);
        l = Lease{};
        l.db = my_database();
        l.procno = pg::my_procno();
        pg_write_barrier();  // who reads the session knows its number
        l.session = MyProcPid;
        set_state(&l, LeaseState::Reserved);
        unheld[n_unheld++] = no;
    }
    return {unheld, static_cast<std::size_t>(n_unheld)};
}

void mark_popped(SlotNo no, const TaskRef &ref, SlotNo queue, GroupNo group, int32 priority) {
    Lease &l = lease(no);
    l.ref = ref;
    l.db = map.queues[queue].db;
    l.queue = queue;
    l.group = group;
    l.priority = priority;
    count_lease(queue, 1);
    set_state(&l, LeaseState::Popped);
}

void drop_popped(SlotNo no) {
    set_state(&lease(no), LeaseState::Reserved);
    count_lease(lease(no).queue, -1);
    unreserve(lease(no).queue, lease(no).group);
}

bool any_unheld() { return n_unheld > 0; }

void return_unheld() {
    while (n_unheld > 0) {
        SlotNo no = unheld[--n_unheld];
        Lease &l = lease(no);
        if (is_in(l, LeaseState::Popped)) {
            // When the task dies is not known here: the bound of its list is found again by a look at the rows.
            put_back(l.queue, l.priority, l.ref, key_of_group(l.group), GetCurrentTimestamp());
            drop_popped(no);
        }
        free_lease(no);
    }
}

int take_over_left(SlotNo db) {
    int before = n_unheld;
    for (SlotNo no = 0; no < map.shared->n_leases && n_unheld < most_unheld; no++) {
        Lease &l = lease(no);
        pid_t session = l.session;
        pg_read_barrier();
        int procno = l.procno;
        if (session == 0 || procno < 0 || l.db != db || ProcGlobal->allProcs[procno].pid == session) continue;
        // A process gives back first and is gone then: what is its own now stays so.
        pg_read_barrier();
        bool unheld_still = is_in(l, LeaseState::Reserved) || is_in(l, LeaseState::Popped);
        if (!unheld_still || l.session != session) continue;
        l.session = MyProcPid;
        l.procno = pg::my_procno();
        unheld[n_unheld++] = no;
    }
    return n_unheld - before;
}

#ifdef PGQUEUE_TESTPOINTS
void leave_unheld() { n_unheld = 0; }

void become_other_session() { my_session = 0; }
#endif

namespace {

// What the transaction took is given back by its abort.
void at_exit(int, Datum) {
    AbortOutOfAnyTransaction();
    end_session_leases();
}

}  // namespace

void give_leases_back_at_exit() {
    static constinit bool registered = false;
    if (!registered) before_shmem_exit(at_exit, Datum(0));
    registered = true;
}

namespace {

// Puts a held entry into the chain of its task.
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

// Request: LeaseRequest or OwedRow.
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
    note_lease_ends(made.db, r.time, r.dies);
    if (r.owed != Owed::Nothing) note_lease_end(made.db, 1);
}

bool owe(const OwedRow &r) {
    SlotNo no = take_lease();
    if (no < 0) return false;
    int64 now = pg::monotonic_now();
    Lease made = lease_of(r, r.what);
    made.time = {now, now + r.order, 0};
    publish(no, &made);
    if (r.what == Owed::Charge) database(made.db).leases.charges_owed.fetch_add(1);
    note_lease_end(made.db, 1);
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

bool is_of_session(const Lease &l) { return l.session == MyProcPid && l.session_no == session_no(); }

bool has_hold(const WorkerSlot &w, int64 id, int64 receipt) {
    int n = Min(w.n_holds.load(), max_batch);
    for (int i = 0; i < n; i++)
        if (const Hold &h = w.holds[i]; h.ref.id == id && h.receipt == receipt && h.state.load() != HoldState::None)
            return true;
    return false;
}

bool is_held_by_anybody(SlotNo db, int64 id, int64 receipt) {
    Lease l;
    if (find_lease(id, &l, receipt)) return true;
    for (const WorkerSlot &w : map.shared->workers)
        if (w.db == db && has_hold(w, id, receipt)) return true;
    return false;
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

bool take_out(SlotNo db, int64 id, int64 receipt, Place *place) {
    SlotNo gone = -1;
    {
        pg::LwLockGuard lock(lease_lock(id));
        for (SlotNo *link = chain_of(id); *link >= 0; link = &map.leases[*link].next) {
            Lease &l = map.leases[*link];
            if (l.id != id || l.db != db || l.receipt != receipt) continue;
            if (l.owed == Owed::Charge) database(db).leases.charges_owed.fetch_sub(1);
            if (is_of_session(l)) mine--;
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

bool take_lease_out(int64 id, int64 receipt, Place *place) { return take_out(my_database(), id, receipt, place); }

bool drop_lease(int64 id, int64 receipt) {
    Place place;
    if (!take_lease_out(id, receipt, &place)) return false;
    end_running(place.queue, place.group);
    return true;
}

void move_lease_to(int64 id, SlotNo queue, uint64 key) {
    Place place{queue, key != 0 ? hold_in_group(queue, key) : 0};
    take_places(queue);
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

namespace {

// A bound lease is over, another one is nobody's: a later session with the number of this process is somebody else.
void leave(Lease *l, SlotNo *ended_in) {
    pg::LwLockGuard lock(lease_lock(l->id));
    if (l->id == 0 || !is_of_session(*l)) return;
    l->session = 0;
    l->procno = -1;
    if (!l->bound) return;
    l->ended = true;
    *ended_in = l->db;
}

}  // namespace

void end_session_leases() {
    if (!loaded() || mine <= 0) return;
    mine = 0;
    SlotNo db = -1;
    for (SlotNo i = 0; i < map.shared->n_leases; i++) {
        Lease &l = map.leases[i];
        if (l.id != 0 && is_of_session(l)) leave(&l, &db);
    }
    if (db < 0) return;
    note_lease_end(db, 1);
    wake_scheduler(db);
}

namespace {

// F: bool(const Lease &), which are meant.
template <typename F>
void clear(SlotNo db, F is_meant) {
    for (SlotNo i = 0; i < map.shared->n_leases; i++) {
        Lease l;
        if (!read_lease(i, db, &l) || !is_meant(l)) continue;
        Place place;
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
