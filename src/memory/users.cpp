#include "memory/users.hpp"

#include "memory/registry.hpp"
#include "memory/wake.hpp"

namespace pgqueue::memory {
namespace {

constinit bool in_use = false;
constinit bool made = false, rolled_back = false;

Atomic<uint64> &mine() { return map.users[pg::my_procno()]; }

// Returns since when the process of this number uses entries; 0: it does not.
uint64 in_use_since(int procno) {
    uint64 since = map.users[procno].load();
    return since != 0 && ProcGlobal->allProcs[procno].pid != 0 ? since : 0;
}

}  // namespace

namespace {

// Aborts the transaction first, because its end still uses entries.
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
    mine().store(map.shared->drops.load());
    pg_memory_barrier();
    return in_use = true;
}

void note_made() { made = true; }

void note_rolled_back() { rolled_back = made; }

void report_stray(SlotNo db) {
    database(db).places.strays.store(true);
    wake_scheduler(db);
}

void end_use() {
    if (!in_use) return;
    if (SlotNo db = rolled_back ? find_database(MyDatabaseId) : -1; db >= 0) report_stray(db);
    made = rolled_back = false;
    pg_write_barrier();
    mine().store(0);
    in_use = false;
}

bool use_anew() {
    if (!in_use || made) return false;
    end_use();
    return begin_use();
}

uint64 count_drop() { return map.shared->drops.fetch_add(1) + 1; }

uint64 put_down_until() {
    uint64 until = map.shared->drops.load();
    pg_memory_barrier();
    for (int i = 0; i < map.n_users; i++) {
        uint64 since = i == pg::my_procno() ? 0 : in_use_since(i);
        if (since != 0 && since < until) until = since;
    }
    return until;
}

bool is_put_down(uint64 drop) { return drop <= put_down_until(); }

pid_t holder_of_drops() {
    uint64 oldest = map.shared->drops.load();
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
