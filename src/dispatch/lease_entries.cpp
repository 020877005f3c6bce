#include "dispatch/lease_entries.hpp"

#include "memory/pool.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"

namespace pgqueue::dispatch {

SlotNo my_database() {
    static constinit SlotNo db = -1;
    if (db < 0 || !database(db).used || database(db).oid != MyDatabaseId) db = find_database(MyDatabaseId);
    return db;
}

namespace {

// Wakes the schedulers of databases with waiting sessions if a session, of any database, has found no entry.
void tell_of_room() {
    pg_memory_barrier();
    Atomic<bool> *wanted = &map.shared->leases_wanted;
    if (!wanted->load() || !wanted->exchange(false)) return;
    for (SlotNo db = 0; db < max_databases; db++)
        if (database(db).used && database(db).waiters.tasks.load() != 0) wake_scheduler(db);
}

}  // namespace

void free_lease(SlotNo no) {
    set_state(&lease(no), LeaseState::Free);
    give_lease(no);
    tell_of_room();
}

}  // namespace pgqueue::dispatch
