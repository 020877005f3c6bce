// Places in the fixed tables of shared memory that nobody needs any more.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/idle.hpp"
#include "dispatch/reclaim.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/users.hpp"
#include "store/catalog.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::map;

constexpr int64 first_wait = 10 * 1000, longest_wait = 10 * int64(USECS_PER_SEC);
constinit int64 wait = first_wait;

// The entry of an object that the tables do not have: its creation was rolled back, or is not committed yet, or it was made for a queue that
// was just deleted. It is suspected first, and dropped when nobody can have its number in hands and the tables still lack the object.
template <typename Entry, typename Drop>
void look_at_stray(Entry *e, bool known, Drop drop) {
    if (known) {
        e->drop = 0;
    } else if (e->drop == 0) {
        e->drop = dispatch::count_drop();
    } else if (dispatch::is_put_down(e->drop)) {
        drop();
    }
}

// True: there are suspects, or the look failed.
bool find_strays() {
    bool any = false;
    bool ok = transact("look for entries without an object", [&any] {
        dispatch::each_queue(self.db, [&any](SlotNo no) {
            dispatch::Queue &q = map.queues[no];
            if (dispatch::is_dropped(q)) return;
            look_at_stray(&q, store::queue_by_id(q.queue_id) != nullptr, [no] { dispatch::drop_queue(no); });
            any = any || (q.drop != 0 && !dispatch::is_dropped(q));
        });
        dispatch::each_namespace(self.db, [&any](SlotNo no) {
            dispatch::Namespace &ns = map.namespaces[no];
            if (pg_atomic_read_u32(&ns.dropped) != 0) return;
            look_at_stray(&ns, store::is_namespace(ns.ns_id), [&ns] { dispatch::drop_namespace(self.db, ns.ns_id); });
            any = any || (ns.drop != 0 && pg_atomic_read_u32(&ns.dropped) == 0);
        });
    });
    return any || !ok;
}

// Somebody wants places: idle entries go, one step at a time. A new request begins at once again.
pg::Deadline free_idle_places(const pg::Moment &now) {
    static constinit uint32 answered = 0;
    static constinit int64 pause = first_wait;
    static constinit pg::Deadline next{};
    uint32 wanted = pg_atomic_read_u32(&my_db().places_wanted);
    if (wanted == 0) return never;
    if (wanted != answered) pause = first_wait;
    if (wanted == answered && !next.passed(now)) return next;
    answered = wanted;
    bool left = true;
    transact("free idle places", [&left] { left = dispatch::free_idle(self.db); });
    if (!left && pg_atomic_compare_exchange_u32(&my_db().places_wanted, &wanted, 0)) return never;
    next = now.in(pause);
    pause = Min(pause * 2, longest_wait);
    return next;
}

}  // namespace

pg::Deadline free_places(const pg::Moment &now) {
    static constinit bool suspects = false;
    pg::Deadline next = free_idle_places(now);
    if (suspects || pg_atomic_exchange_u32(&my_db().strays, 0) != 0) suspects = find_strays();
    bool left = dispatch::free_dropped(self.db);
    if (!left && !suspects) {
        wait = first_wait;
        return next;
    }
    wait = Min(wait * 2, longest_wait);
    return Min(next, now.in(wait));
}

}  // namespace pgqueue::worker::scheduler
