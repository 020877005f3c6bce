#include "dispatch/session_leases.hpp"

#include "dispatch/lease.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

// Number of leases that this session was given and has not ended itself. If it is 0, the end of the session searches
// none.
constinit int mine = 0;
// 0: none was taken yet.
constinit uint64 my_session = 0;

// Returns the number of this session. No other session has it while the server lives.
uint64 session_no() {
    if (my_session == 0) my_session = map.shared->sessions.fetch_add(1) + 1;
    return my_session;
}

}  // namespace

void give_to_session(Lease *l, Oid role) {
    l->session = MyProcPid;
    l->session_no = session_no();
    l->procno = pg::my_procno();
    l->role = role;
    mine++;
}

void take_from_session(const Lease &l) {
    if (is_of_session(l)) mine--;
}

bool is_of_session(const Lease &l) { return l.session == MyProcPid && l.session_no == session_no(); }

#ifdef PGQUEUE_TESTPOINTS
void become_other_session() { my_session = 0; }
#endif

namespace {

// The abort gives back what the transaction took.
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

// Removes this session from a lease, because a later session may have the same process id. Ends a bound lease.
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
    lower_lease_bound(db, 1);
    wake_scheduler(db);
}

}  // namespace pgqueue::dispatch
