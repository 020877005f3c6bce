// Frees places in the fixed tables of shared memory that are not needed any more.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/apply.hpp"
#include "dispatch/due.hpp"
#include "dispatch/free_dropped.hpp"
#include "dispatch/free_idle.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "pg/testpoint.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

constexpr int64 first_wait = 10 * 1000, longest_wait = 10 * int64(USECS_PER_SEC);

// Decides when to check again for places that can become free: later each time, but soon if there is something new or a
// place is requested. Checks take at most a quarter of the time.
struct Pace {
    int64 wait = first_wait;
    int64 spent = 0;  // by the last check
    pg::Deadline looked{INT64_MIN};

    pg::Deadline next() const { return looked.after(Max(wait, 3 * spent)); }
    // F: bool(), returns whether something is left.
    template <typename F>
    pg::Deadline look(bool hurry, F f) {
        if (hurry) wait = first_wait;
        pg::Moment begin = pg::this_moment();
        if (!next().passed(begin)) return next();
        bool left = f();
        spent = pg::monotonic_now() - begin.monotonic;
        looked = begin.in(spent);
        wait = left ? Min(wait * 2, longest_wait) : first_wait;
        return left ? next() : never;
    }
};

// Checks an entry whose object may not be in the tables: its creation was rolled back or is not committed yet, or the
// entry was created for a queue that was just deleted. The entry is suspected first. It is dropped if no process can
// hold its number any more and the tables still lack the object. Returns whether the tables have it. They are read
// last, because a process that put the number down may have committed the object just before.
template <typename Entry, typename IsKnown, typename Drop>
bool look_at_stray(Entry *e, IsKnown is_known, Drop drop) {
    bool put_down = e->drop != 0 && memory::is_put_down(e->drop), known = is_known();
    if (!known) PGQUEUE_TESTPOINT("scheduler-found-stray");
    if (known) {
        e->drop = 0;
    } else if (e->drop == 0) {
        e->drop = memory::count_drop();
    } else if (put_down) {
        drop();
    }
    return known;
}

constinit SlotNo next_to_check = 0;  // the cycle over all queues continues there, 0: a new one begins

// Checks the next queues. Each costs a read of the table, because the invalidation of a deletion may not have been sent
// yet. Returns whether there are suspects, or queues are left.
bool find_stray_queues() {
    static constinit bool any = false;
    constexpr int most = 256;
    if (next_to_check == 0) any = false;
    int n = 0;
    for (; next_to_check < map.shared->used_queues && n < most; next_to_check++) {
        memory::Queue &q = map.queues[next_to_check];
        if (!q.used || q.db != self.db || memory::is_dropped(q)) continue;
        n++;
        look_at_stray(
            &q, [&q] { return store::read_queue_by_id(q.queue_id) != nullptr; },
            [] { dispatch::drop_queue(next_to_check); });
        any = any || (q.drop != 0 && !memory::is_dropped(q));
    }
    if (next_to_check < map.shared->used_queues) return true;
    next_to_check = 0;
    return any;
}

bool find_stray_namespaces() {
    bool any = false;
    store::forget_catalog();
    memory::each_namespace(self.db, [&any](SlotNo no) {
        memory::Namespace &ns = map.namespaces[no];
        if (ns.dropped.load()) return;
        look_at_stray(
            &ns, [&ns] { return store::namespace_by_id(ns.ns_id) != nullptr; },
            [&ns] { dispatch::drop_namespace(self.db, ns.ns_id); });
        any = any || (ns.drop != 0 && !ns.dropped.load());
    });
    return any;
}

// Returns whether there are suspects, entries are left, or the check failed.
bool find_strays() {
    bool left = false;
    bool ok = transact("look for entries without an object", [&left] {
        left = find_stray_queues();
        if (next_to_check == 0) left = find_stray_namespaces() || left;
    });
    if (!ok) next_to_check = 0;  // the next cycle is not hurried
    return left || !ok;
}

// Frees idle entries, one step at a time, if places are requested. A new request begins anew at once.
pg::Deadline free_idle_places(const pg::Moment &now) {
    static constinit uint32 answered = 0;
    static constinit int64 pause = first_wait;
    static constinit pg::Deadline next{};
    uint32 wanted = my_db().places.wanted.load();
    if (wanted == 0) return never;
    if (wanted != answered) pause = first_wait;
    if (wanted == answered && !next.passed(now)) return next;
    answered = wanted;
    bool left = true;
    transact("free idle places", [&left] { left = dispatch::free_idle(self.db); });
    if (!left && my_db().places.wanted.replace(wanted, 0)) return never;
    next = now.in(pause);
    pause = Min(pause * 2, longest_wait);
    return next;
}

}  // namespace

namespace {

pg::Deadline drop_strays() {
    static constinit Pace pace{};
    static constinit bool suspects = false;
    static constinit bool again = false;  // a further cycle is due, because a stray was reported during this one
    const bool told = my_db().places.strays.exchange(false), begun = next_to_check != 0;
    suspects = suspects || told;
    again = again || (told && begun);
    if (!suspects) return never;
    return pace.look(told || begun, [] {
        suspects = find_strays() || again;
        if (next_to_check == 0) again = false;
        return suspects;
    });
}

constinit bool purging = false;  // tasks of dropped queues may be in the spill file

// Takes at most a quarter of the time.
pg::Deadline purge_file() {
    static constinit pg::Deadline again{};
    pg::Moment begin = pg::this_moment();
    if (!purging) return never;
    if (!again.passed(begin)) return again;
    purging = !dispatch::purge_spilled_due(self.db);
    again = begin.in(4 * (pg::monotonic_now() - begin.monotonic));
    return purging ? again : never;
}

pg::Deadline free_dropped_places() {
    static constinit Pace pace{};
    static constinit uint32 left = 0;
    uint32 pending = my_db().places.drops_pending.load();
    if (pending == 0) return never;
    bool hurry = pending > left || my_db().places.wanted.load() != 0;
    pg::Deadline next = pace.look(hurry, [] {
        bool any = dispatch::free_dropped(self.db);
        left = my_db().places.drops_pending.load();
        purging = true;
        return any;
    });
    return Min(next, purge_file());
}

}  // namespace

pg::Deadline free_places(const pg::Moment &now) {
    pg::Deadline next = Min(free_idle_places(now), drop_strays());
    return Min(next, free_dropped_places());
}

}  // namespace pgqueue::worker::scheduler
