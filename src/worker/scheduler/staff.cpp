// Starts workers for roles with work, and retires them if other roles wait. Roles take turns.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/pop.hpp"
#include "memory/registry.hpp"
#include "memory/roles.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"
#include "signal/crash_loop.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/transitions.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;
using memory::Role;
using memory::WorkerSlot;
using memory::WorkerState;

constexpr int64 recheck_after = int64(USECS_PER_SEC);
constexpr int64 start_backoff = 250 * 1000;

struct Handle {
    uint32 generation;
    BackgroundWorkerHandle *handle;
};
constinit Handle handles[memory::max_workers] = {};

// Roles whose worker could not start wait before the next try.
struct Refusal {
    SlotNo role;
    int32 role_id;
    pg::Deadline until;
    int failures;
};
constinit Refusal refusals[64] = {};
constinit int started = 0;
// When a worker was gone last (monotonic). The server gives its process slot back a moment later.
constinit int64 gone_at = INT64_MIN / 2;
// The role that is served first: the one after the last that got a worker, so that all get free places in turn.
constinit SlotNo first_served = 0;

Refusal *refusal_of(SlotNo role, bool make) {
    Refusal *free = nullptr;
    for (Refusal &r : refusals) {
        if (r.failures > 0 && r.role == role && r.role_id == map.roles[role].role_id) return &r;
        if (r.failures == 0 && free == nullptr) free = &r;
    }
    if (make && free != nullptr) {
        free->role = role;
        free->role_id = map.roles[role].role_id;
    }
    return make ? free : nullptr;
}

bool reserve_worker() {
    pg::Atomic<int32> *total = &map.shared->total_workers;
    int32 seen = total->load();
    while (seen < config::max_workers())
        if (total->compare_exchange(&seen, seen + 1)) return true;
    return false;
}

// If the limit has become smaller, workers beyond it end after their task, idle ones first.
void retire_surplus() {
    int64 surplus = int64(map.shared->total_workers.load()) - config::max_workers();
    if (surplus <= 0) return;
    for (WorkerSlot &w : map.shared->workers) surplus -= w.state.load() != WorkerState::Free && w.leave.load() != 0;
    for (WorkerState wanted : {WorkerState::Idle, WorkerState::Busy}) {
        for (WorkerSlot &w : map.shared->workers) {
            if (surplus <= 0) return;
            if (w.db == self.db && w.state.load() == wanted && memory::ask_to_leave(&w)) surplus--;
        }
    }
}

// Takes a free slot and marks it as starting for the role. -1: there is none.
SlotNo take_slot(SlotNo role) {
    pg::LwLockGuard lock(memory::workers_lock());
    for (SlotNo i = 0; i < memory::max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (w.state.load() != WorkerState::Free) continue;
        w.db = self.db;
        w.role = role;
        w.generation++;
        w.pid = 0;
        w.procno = -1;
        w.leave.store(0);
        w.ended_by.store(memory::EndedBy::Itself);
        w.giving_back.store(false);
        w.cancel_id.store(0);
        w.n_holds.store(0);
        w.since.store(pg::monotonic_now());
        w.state.store(WorkerState::Starting);
        return i;
    }
    return -1;
}

bool can_login(Oid oid) {
    HeapTuple t = SearchSysCache1(AUTHOID, ObjectIdGetDatum(oid));
    if (!HeapTupleIsValid(t)) return false;
    bool yes = reinterpret_cast<Form_pg_authid>(GETSTRUCT(t))->rolcanlogin;
    ReleaseSysCache(t);
    return yes;
}

enum class Present { Yes, No, Unknown };

// Looks up the role, and whether it may log in.
Present look_at_role(SlotNo no, bool *login) {
    Oid oid = InvalidOid;
    bool ok = transact("look at a role", [&oid, login, no] {
        oid = store::role_oid_of(map.roles[no].role_id);
        *login = can_login(oid);
    });
    if (!ok) return Present::Unknown;
    if (OidIsValid(oid)) map.roles[no].oid = oid;
    return OidIsValid(oid) ? Present::Yes : Present::No;
}

enum class Started { Yes, NoSlot, Limit };

Started start_one(SlotNo role, bool login) {
    Role &r = map.roles[role];
    if (config::max_workers_per_role > 0 && r.workers.load() >= config::max_workers_per_role) return Started::Limit;
    if (!reserve_worker()) return Started::NoSlot;
    SlotNo no = take_slot(role);
    if (no < 0) {
        map.shared->total_workers.fetch_sub(1);
        return Started::NoSlot;
    }
    r.workers.fetch_add(1);
    BackgroundWorkerHandle *handle = nullptr;
    pg::MemoryScope scope(self.lasting);
    if (!start_worker(no, map.shared->workers[no].generation, login, &handle)) {
        free_worker_slot(no);
        return Started::NoSlot;
    }
    handles[no] = {map.shared->workers[no].generation, handle};
    started++;
    return Started::Yes;
}

// Frees the slots of workers whose process did not start.
void reap_unborn(const pg::Moment &now) {
    for (SlotNo i = 0; i < memory::max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (w.db != self.db || w.pid != 0 || w.state.load() != WorkerState::Starting) continue;
        bool mine = handles[i].handle != nullptr && handles[i].generation == w.generation;
        pid_t pid;
        const bool gone = mine ? GetBackgroundWorkerPid(handles[i].handle, &pid) == BGWH_STOPPED : never_came(w, now);
        if (gone && take_from_unborn(&w)) note_worker_gone(i);
    }
}

// If a worker did not start, its role waits a while before the next try.
void note_unborn(SlotNo role) {
    signal::record_death(&map.roles[role].deaths);
    if (Refusal *r = refusal_of(role, true)) r->until = pg::this_moment().in(start_backoff << Min(r->failures++, 7));
}

struct Demand {
    int live, idle;
    int64 ready;
};

Demand demand_of(SlotNo role) {
    Demand d{0, 0, dispatch::ready_for_role(role)};
    for (WorkerSlot &w : map.shared->workers) {
        if (w.db != self.db || w.role != role) continue;
        WorkerState s = w.state.load();
        d.live += s == WorkerState::Starting || s == WorkerState::Idle || s == WorkerState::Busy;
        // A worker without holds is about to take what is there, or to become idle after another check.
        bool free = s == WorkerState::Busy && w.n_holds.load() == 0;
        d.idle += s == WorkerState::Starting || s == WorkerState::Idle || free;
    }
    return d;
}

// Files a ready task of a role that does not exist in the held lane, where no worker takes it, or where it belongs now.
void hold_one(const dispatch::Ready &ready, SlotNo role) {
    store::TaskRow row;
    bool waits = store::fetch(ready.ref, false, &row) && is_waiting(row.status);
    memory::Hint hint;
    bool known = waits && task::hint_of(task::queue_of(row), row, memory::Arrival::InFront, &hint);
    bool moved = !known || map.lanes[hint.lane].queue != ready.queue || hint.group != ready.group;
    if (ready.group != 0 && moved) dispatch::leave_group(ready.queue, ready.group, ready.ref.id);
    if (!known) return;
    if (map.lanes[hint.lane].role == role) hint.lane = memory::ensure_lane(map.lanes[hint.lane].queue, role, true);
    if (hint.due <= GetCurrentTimestamp()) hint.due = 0;
    dispatch::enqueue(hint);
}

// Holds the tasks of a role that does not exist: its remaining workers leave, and ready tasks are filed in the held
// lane. Returns false if some are left for the next turn.
bool hold_tasks(SlotNo role) {
    constexpr int most = 256;
    for (WorkerSlot &w : map.shared->workers)
        if (w.db == self.db && w.role == role) (void)memory::ask_to_leave(&w);
    dispatch::Ready ready[most];
    for (int done = 0, n; done < most; done += n) {
        n = dispatch::pop_for_scheduler(self.db, role, ready, most - done);
        if (n == 0) return true;
        bool ok = transact("hold tasks of a role that does not exist", [&ready, n, role] {
            for (int i = 0; i < n; i++) hold_one(ready[i], role);
        });
        if (!ok) {
            my_db().reading.lost.store(memory::Lost::Full);
            return true;
        }
    }
    return false;
}

// Returns whether another database cannot have its first process. Places that become free are for it.
bool others_starve() {
    for (SlotNo db = 0; db < memory::max_databases; db++)
        if (db != self.db && memory::database(db).used && memory::database(db).service.needs_first_process.load())
            return true;
    return false;
}

// How a role was served. Again: there is more to do at once. Refused: its next worker must wait.
enum class Served { Well, Again, Refused, Short, NotAtAll };

// Starts what one role needs.
Served staff_role(SlotNo no, const pg::Moment &now, bool *short_of_slots) {
    Demand d = demand_of(no);
    if (d.ready <= 0) return Served::Well;
    bool login = false;
    Present present = look_at_role(no, &login);
    if (present == Present::No) return hold_tasks(no) ? Served::Well : Served::Again;
    *short_of_slots = *short_of_slots || present == Present::Unknown;
    if (present == Present::Unknown) return Served::Well;
    // Tasks that became ready without a commit (by resume, or a higher limit) have not woken a worker yet.
    if (d.idle > 0) memory::wake_idle_workers(self.db, no, static_cast<int>(Min(d.ready, static_cast<int64>(d.idle))));
    Refusal *refusal = refusal_of(no, false);
    const bool refused = refusal != nullptr && !refusal->until.passed(now);
    if (map.roles[no].refused.load() != refused && (refused || refusal == nullptr))
        map.roles[no].refused.store(refused);
    if (refused) return Served::Refused;
    for (int64 want = d.ready - d.idle; want > 0; want--) {
        Started s = d.live > 0 && others_starve() ? Started::NoSlot : start_one(no, login);
        if (s == Started::Yes) {
            d.live++;
            continue;
        }
        if (s == Started::Limit) return Served::Well;
        *short_of_slots = true;
        constexpr int64 until_free = 100 * 1000;
        if (now.monotonic - gone_at < until_free) return Served::Well;
        return d.live == 0 ? Served::NotAtAll : Served::Short;
    }
    return Served::Well;
}

// Records whether this database has no process for its work. If so, schedulers of other databases make room.
void note_starving(bool needs_first_process) {
    my_db().service.needs_first_process.store(needs_first_process);
    for (SlotNo db = 0; needs_first_process && db < memory::max_databases; db++)
        if (const memory::Database &d = memory::database(db); db != self.db && d.used && d.scheduler.pid.load() != 0)
            memory::wake_scheduler(db);
}

}  // namespace

void note_worker_gone(SlotNo no) {
    gone_at = pg::monotonic_now();
    if (handles[no].handle != nullptr) pfree(handles[no].handle);
    handles[no].handle = nullptr;
    WorkerSlot &w = map.shared->workers[no];
    bool ended = w.state.load() == WorkerState::Ended;
    if (!ended || w.ended_by.load() == memory::EndedBy::Unborn)
        note_unborn(w.role);
    else if (Refusal *r = refusal_of(w.role, false))
        r->failures = 0;
    free_worker_slot(no);
    // Other databases may wait for the place.
    for (SlotNo db = 0; db < memory::max_databases; db++)
        if (const memory::Database &d = memory::database(db);
            d.used && d.service.no_slot_since.load() != 0 && db != self.db)
            memory::wake_scheduler(db);
}

void dismiss_workers() {
    for (WorkerSlot &w : map.shared->workers) {
        if (w.db == self.db && w.state.load() != WorkerState::Free) (void)memory::ask_to_leave(&w);
    }
}

int live_workers() {
    int n = 0;
    for (WorkerSlot &w : map.shared->workers) n += w.db == self.db && w.state.load() != WorkerState::Free;
    return n;
}

bool is_needed_elsewhere() { return others_starve(); }

// Schedulers hold all process slots, and none is left for a worker. The first scheduler stays, the others yield.
bool should_yield(const pg::Moment &now) {
    memory::Database &d = my_db();
    if (!d.service.needs_first_process.load() || d.service.no_slot_since.load() == 0) return false;
    if (now.monotonic - d.service.no_slot_since.load() < recheck_after) return false;
    for (SlotNo db = 0; db < self.db; db++) {
        memory::Database &other = memory::database(db);
        if (other.used && other.service.needs_first_process.load() && other.scheduler.pid.load() != 0) return true;
    }
    return false;
}

bool started_workers() { return started > 0; }

pg::Deadline manage_workers(const pg::Moment &now) {
    started = 0;
    reap_unborn(now);
    retire_surplus();
    memory::Database &d = my_db();
    bool short_of_slots = housekeeper_waits(), needs_first_process = short_of_slots, again = false, refused = false;
    bool workers_wanted = d.service.stopped_since.load() == 0 && config::max_workers() > 0;
    SlotNo roles = workers_wanted ? map.shared->used_roles : 0, begin = first_served;
    for (SlotNo i = 0; i < roles; i++) {
        SlotNo r = (begin + i) % roles;
        if (!map.roles[r].used || map.roles[r].db != self.db) continue;
        int before = started;
        Served served = staff_role(r, now, &short_of_slots);
        if (started > before) first_served = r + 1;
        if (served == Served::Short || served == Served::NotAtAll) retire_worker(r, served == Served::NotAtAll, now);
        again = again || served == Served::Again;
        refused = refused || served == Served::Refused;
        needs_first_process = needs_first_process || served == Served::NotAtAll;
    }
    note_starving(needs_first_process && live_workers() == 0);
    if (!short_of_slots)
        d.service.no_slot_since.store(0);
    else if (d.service.no_slot_since.load() == 0)
        d.service.no_slot_since.store(now.monotonic);
    return again ? now.in(0) : short_of_slots || refused ? now.in(turn_length) : never;
}

}  // namespace pgqueue::worker::scheduler
