// The entries of the table of leases, for the files of dispatch/ that keep them. Other folders use only `lease`. No
// function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Returns the entry of a number.
inline Lease &lease(SlotNo no) { return map.leases[no]; }
// Returns how many entries sessions leave to the scheduler.
inline int32 spare_leases() { return map.shared->n_leases / 16; }
// Returns the entry of this process's database; -1: there is none.
SlotNo my_database();

// Returns whether the entry is in this state.
inline bool is_in(const Lease &l, LeaseState state) { return l.state.load() == state; }
// Sets the state of an entry after its other fields were written.
inline void set_state(Lease *l, LeaseState state) {
    pg_write_barrier();
    l->state.store(state);
}
// Adds `more` to the number of leases of the queue's namespace.
inline void count_lease(SlotNo queue, int more) { map.namespaces[map.queues[queue].ns].leases.fetch_add(more); }
// Frees an entry. If a session has found no entry, wakes the schedulers of all databases with waiting sessions.
void free_lease(SlotNo no);

}  // namespace pgqueue::dispatch
