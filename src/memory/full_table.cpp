#include "memory/full_table.hpp"

#include "memory/pool.hpp"
#include "memory/users.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::memory {
namespace {

bool is_short(int64 used, int64 capacity) { return used * 4 > capacity * 3; }

template <typename Entry, typename Used>
int64 count(const Entry *entries, int32 end, Used used) {
    int64 n = 0;
    for (int32 i = 0; i < end; i++) n += used(entries[i]);
    return n;
}

}  // namespace

bool short_of_places() {
    const Shared &s = *map.shared;
    return is_short(s.n_lanes - free_lanes(), s.n_lanes) ||
           is_short(s.n_priorities - free_priorities(), s.n_priorities) ||
           is_short(count(map.sources, s.used_sources, [](const Source &e) { return e.ns >= 0; }), s.n_sources) ||
           is_short(count(map.roles, s.used_roles, [](const Role &e) { return e.used; }), s.n_roles);
}

void table_full(const char *what, int32 capacity) {
    pid_t holder = holder_of_drops();
    const char *waits =
        holder != 0 && holder != MyProcPid
            ? psprintf(" Places that became free wait for the end of the transaction of process %d.", holder)
            : "";
    ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY),
            errmsg("no place is free for another %s in the dispatcher's shared memory", what),
            errdetail("All %d places are taken. View pgqueue.memory shows by whom.%s", capacity, waits),
            errhint("Raise pgqueue.dispatch_memory and restart the server."));
    pg_unreachable();
}

bool wait_for_place(int *tries, int most, bool sure) {
    constexpr long nap_ms = 10;
    bool hope = sure;
    for (SlotNo db = 0; db < max_databases; db++) {
        Database &d = database(db);
        if (!d.used) continue;
        // A scheduler would wait for itself.
        if (d.scheduler.pid.load() == MyProcPid) return false;
        if (*tries == 0 && d.service.wanted.load()) d.places.wanted.fetch_add(1);
        if (d.places.drops_pending.load() == 0 && !d.places.strays.load() && d.places.wanted.load() == 0) continue;
        hope = true;
        wake_scheduler(db);
    }
    if (!hope || (*tries)++ == most) return false;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, nap_ms, pg::wait_event("PgqueuePlace"));
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    return true;
}

void ask_for_idle_places(SlotNo db, bool few_in_part) {
    if (!few_in_part && !short_of_places()) return;
    database(db).places.wanted.fetch_add(1);
    wake_scheduler(db);
}

}  // namespace pgqueue::memory
