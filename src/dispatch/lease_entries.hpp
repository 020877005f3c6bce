// The entries of the table of leases, for the files that keep them. Outside dispatch/ only `lease` is used.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

inline Lease &lease(SlotNo no) { return map.leases[no]; }
// Entries that sessions leave to the scheduler.
inline int32 spare_leases() { return map.shared->n_leases / 16; }
// The entry of this process's database.
SlotNo my_database();

inline bool is_in(const Lease &l, LeaseState state) { return l.state.load() == state; }
inline void set_state(Lease *l, LeaseState state) {
    pg_write_barrier();
    l->state.store(state);
}
// The leases of the namespace of a queue are so many more.
inline void count_lease(SlotNo queue, int more) { map.namespaces[map.queues[queue].ns].leases.fetch_add(more); }
// Gives an entry back, and tells those who found none.
void free_lease(SlotNo no);

}  // namespace pgqueue::dispatch
