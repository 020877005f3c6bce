#include "memory/users.hpp"

#include "memory/registry.hpp"
#include "memory/wake.hpp"

namespace pgqueue::memory {
namespace {

constinit bool in_use = false;
constinit bool made = false, rolled_back = false;

pg_atomic_uint64 &mine() { return map.users[pg::my_procno()]; }

// Since when the process of this number uses entries; 0 it does not.
uint64 in_use_since(int procno) {
    uint64 since = pg_atomic_read_u64(&map.users[procno]);
    return since != 0 && ProcGlobal->allProcs[procno].pid != 0 ? since : 0;
}

}  // namespace

namespace {

// The end of the transaction still uses entries.
void at_exit(int, Datum) {
    AbortOutOfAnyTransaction();
    end_use();
}

}  // namespace

bool begin_use() {
    static constinit bool registered = false;
    if (in_use) return false;
    if (!registered) before_shmem_exit(at_exit, Datum(0));
    registered = true;
    pg_atomic_write_u64(&mine(), pg_atomic_read_u64(&map.shared->drops));
    pg_memory_barrier();
    return in_use = true;
}

void note_made() { made = true; }

void note_rolled_back() { rolled_back = made; }

namespace {

void tell_of_strays() {
    SlotNo db = find_database(MyDatabaseId);
    if (db < 0) return;
    pg_atomic_write_u32(&database(db).strays, 1);
    wake_scheduler(db);
}

}  // namespace

void end_use() {
    if (!in_use) return;
    if (rolled_back) tell_of_strays();
    made = rolled_back = false;
    pg_write_barrier();
    pg_atomic_write_u64(&mine(), 0);
    in_use = false;
}

bool use_anew() {
    if (!in_use || made) return false;
    end_use();
    return begin_use();
}

uint64 count_drop() { return pg_atomic_fetch_add_u64(&map.shared->drops, 1) + 1; }

uint64 put_down_until() {
    uint64 until = pg_atomic_read_u64(&map.shared->drops);
    pg_memory_barrier();
    for (int i = 0; i < map.n_users; i++) {
        uint64 since = i == pg::my_procno() ? 0 : in_use_since(i);
        if (since != 0 && since < until) until = since;
    }
    return until;
}

bool is_put_down(uint64 drop) { return drop <= put_down_until(); }

pid_t holder_of_drops() {
    uint64 oldest = pg_atomic_read_u64(&map.shared->drops);
    pid_t pid = 0;
    for (int i = 0; i < map.n_users; i++) {
        uint64 since = in_use_since(i);
        if (since == 0 || since >= oldest) continue;
        oldest = since;
        pid = ProcGlobal->allProcs[i].pid;
    }
    return pid;
}

}  // namespace pgqueue::memory
