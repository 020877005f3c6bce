#include "dispatch/reserved_leases.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/group_entries.hpp"
#include "dispatch/lease_entries.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/session_leases.hpp"
#include "memory/pool.hpp"

namespace pgqueue::dispatch {
namespace {

// The entries of this process that are not Held.
constinit SlotNo unheld[most_unheld] = {};
constinit int n_unheld = 0;

}  // namespace

std::span<const SlotNo> reserve_leases(int count) {
    give_leases_back_at_exit();
    while (n_unheld < Min(count, most_unheld)) {
        SlotNo no = free_leases() > spare_leases() ? take_lease() : -1;
        if (no < 0) break;
        Lease &l = lease(no);
        l = Lease{};
        l.db = my_database();
        l.procno = pg::my_procno();
        pg_write_barrier();  // a process that reads `session` sees its `procno`
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

void forget_unheld(SlotNo no) {
    for (int i = 0; i < n_unheld; i++)
        if (unheld[i] == no) unheld[i] = unheld[--n_unheld];
}

void return_unheld() {
    while (n_unheld > 0) {
        SlotNo no = unheld[--n_unheld];
        Lease &l = lease(no);
        if (is_in(l, LeaseState::Popped)) {
            // The dies_at of the task is not known here. The present time serves as a lower bound: the scheduler reads
            // the row and finds the right one.
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
        // The process gives its entries back before it is gone. An entry that it still has now is left over.
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
#endif

}  // namespace pgqueue::dispatch
