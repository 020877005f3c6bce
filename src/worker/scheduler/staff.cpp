// Starts workers for roles with work and retires them when others wait: roles take turns.
#include "worker/scheduler/scheduler.hpp"

#include "config/settings.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/wake.hpp"
#include "pg/errcodes.hpp"
#include "pg/guards.hpp"
#include "store/catalog.hpp"
#include "task/lifecycle.hpp"
#include "task/route.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::map;
using dispatch::Role;
using dispatch::WorkerSlot;
using dispatch::WorkerState;

constexpr int64 look_again = int64(USECS_PER_SEC);
constexpr int64 turn_length = 100 * 1000;  // a role keeps its only worker this long while another one has none
constexpr int64 start_backoff = 250 * 1000;

struct Handle {
    uint32 generation;
    BackgroundWorkerHandle *handle;
};
constinit Handle handles[dispatch::max_workers] = {};

// Roles whose worker could not start wait before the next try.
struct Refusal {
    SlotNo role;
    TimestampTz until;
    int failures;
};
constinit Refusal refusals[64] = {};
constinit int started = 0;

Refusal *refusal_of(SlotNo role, bool make) {
    Refusal *free = nullptr;
    for (Refusal &r : refusals) {
        if (r.failures > 0 && r.role == role) return &r;
        if (r.failures == 0 && free == nullptr) free = &r;
    }
    if (make && free != nullptr) free->role = role;
    return make ? free : nullptr;
}

bool reserve_worker() {
    pg_atomic_uint32 *total = &map.shared->total_workers;
    uint32 seen = pg_atomic_read_u32(total);
    while (seen < static_cast<uint32>(config::max_workers()))
        if (pg_atomic_compare_exchange_u32(total, &seen, seen + 1)) return true;
    return false;
}

void unreserve_worker() { pg_atomic_fetch_sub_u32(&map.shared->total_workers, 1); }

// A free slot, marked as starting for the role. -1: none.
SlotNo take_slot(SlotNo role) {
    pg::LwLockGuard lock(dispatch::workers_lock());
    for (SlotNo i = 0; i < dispatch::max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (static_cast<WorkerState>(pg_atomic_read_u32(&w.state)) != WorkerState::Free) continue;
        w.db = self.db;
        w.role = role;
        w.generation++;
        w.pid = 0;
        w.procno = -1;
        pg_atomic_write_u32(&w.leave, 0);
        pg_atomic_write_u32(&w.giving_back, 0);
        pg_atomic_write_u64(&w.cancel_id, 0);
        pg_atomic_write_u32(&w.n_holds, 0);
        pg_atomic_write_u64(&w.since, static_cast<uint64>(GetCurrentTimestamp()));
        pg_atomic_write_u32(&w.state, static_cast<uint32>(WorkerState::Starting));
        return i;
    }
    return -1;
}

void free_slot(SlotNo no) {
    WorkerSlot &w = map.shared->workers[no];
    pg_atomic_fetch_sub_u32(&map.roles[w.role].workers, 1);
    unreserve_worker();
    pg::LwLockGuard lock(dispatch::workers_lock());
    w.db = w.role = -1;
    pg_atomic_write_u32(&w.state, static_cast<uint32>(WorkerState::Free));
}

bool can_login(Oid oid) {
    HeapTuple t = SearchSysCache1(AUTHOID, ObjectIdGetDatum(oid));
    if (!HeapTupleIsValid(t)) return false;
    bool yes = reinterpret_cast<Form_pg_authid>(GETSTRUCT(t))->rolcanlogin;
    ReleaseSysCache(t);
    return yes;
}

enum class Started { Yes, NoSlot, Limit };

Started start_one(SlotNo role, bool login) {
    Role &r = map.roles[role];
    if (config::max_workers_per_role > 0 && pg_atomic_read_u32(&r.workers) >= static_cast<uint32>(config::max_workers_per_role)) return Started::Limit;
    if (!reserve_worker()) return Started::NoSlot;
    SlotNo no = take_slot(role);
    if (no < 0) {
        unreserve_worker();
        return Started::NoSlot;
    }
    pg_atomic_fetch_add_u32(&r.workers, 1);
    BackgroundWorkerHandle *handle = nullptr;
    pg::MemoryScope scope(self.lasting);
    if (!start_worker(no, login, &handle)) {
        free_slot(no);
        return Started::NoSlot;
    }
    handles[no] = {map.shared->workers[no].generation, handle};
    started++;
    return Started::Yes;
}

// Workers that died before they could say anything: their slot is freed, their role waits a while.
void reap_unborn(TimestampTz now) {
    for (SlotNo i = 0; i < dispatch::max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (w.db != self.db || static_cast<WorkerState>(pg_atomic_read_u32(&w.state)) != WorkerState::Starting) continue;
        bool mine = handles[i].handle != nullptr && handles[i].generation == w.generation;
        pid_t pid;
        bool dead = mine ? GetBackgroundWorkerPid(handles[i].handle, &pid) == BGWH_STOPPED : now - static_cast<int64>(pg_atomic_read_u64(&w.since)) > 10 * look_again;
        if (!dead) continue;
        SlotNo role = w.role;
        note_worker_gone(i);
        if (Refusal *r = refusal_of(role, true)) r->until = now + (start_backoff << Min(r->failures++, 7));
    }
}

struct Demand {
    int live, idle;
    int64 ready;
};

Demand demand_of(SlotNo role) {
    Demand d{0, 0, dispatch::ready_for_role(role)};
    for (WorkerSlot &w : map.shared->workers) {
        if (w.db != self.db || w.role != role) continue;
        WorkerState s = static_cast<WorkerState>(pg_atomic_read_u32(&w.state));
        d.live += s == WorkerState::Starting || s == WorkerState::Idle || s == WorkerState::Busy;
        d.idle += s == WorkerState::Starting || s == WorkerState::Idle;
    }
    return d;
}

// Makes room for a role that waits: the longest idle worker goes, else the role with most workers gives up one after its task.
void retire_one(SlotNo for_role, TimestampTz now) {
    WorkerSlot *idle = nullptr, *busy = nullptr;
    uint32 most = 0;
    for (WorkerSlot &w : map.shared->workers) {
        WorkerState s = static_cast<WorkerState>(pg_atomic_read_u32(&w.state));
        if (w.db < 0 || w.role == for_role || pg_atomic_read_u32(&w.leave) != 0) continue;
        int64 since = static_cast<int64>(pg_atomic_read_u64(&w.since));
        if (s == WorkerState::Idle && (idle == nullptr || since < static_cast<int64>(pg_atomic_read_u64(&idle->since)))) idle = &w;
        if (s != WorkerState::Busy) continue;
        uint32 workers = pg_atomic_read_u32(&map.roles[w.role].workers);
        if (workers > most && (workers > 1 || now - static_cast<int64>(pg_atomic_read_u64(&w.joined)) > turn_length)) {
            most = workers;
            busy = &w;
        }
    }
    WorkerSlot *victim = idle != nullptr ? idle : busy;
    if (victim == nullptr) return;
    pg_atomic_write_u32(&victim->leave, 1);
    dispatch::wake_procno(victim->procno);
}

// One task of a role that does not exist any more fails, unless its handler belongs to another role by now.
void fail_one_without_role(const TaskRef &ref, SlotNo role) {
    store::TaskRow row;
    if (store::lock(ref, store::Wait::Skip, true, &row) != store::Locked::Yes || !is_waiting(row.status)) return;
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    if (q == nullptr) return;
    if (!task::runs_in_server(*q, row.flags) || task::runner_of(*q, row) != map.roles[role].role_id) {
        task::hint_again(row);
        return;
    }
    bool by_handler = task::by_handlers(*q, row.flags) && task::route_of(*q, row.type).found;
    pg::ErrorReport e;
    e.sqlstate = ERRCODE_UNDEFINED_OBJECT;
    e.message = psprintf(by_handler ? "role of the task's handler (%d) does not exist" : "role of the task (%d) does not exist", map.roles[role].role_id);
    e.hint = by_handler ? "Register the handler again as an existing role, then retry the task." : "Create the task again as an existing role.";
    task::end_waiting(&row, Status::Failed, e, GetCurrentTimestamp(), store::Wait::Skip);
}

// Tasks of a role that does not exist any more fail at once.
void fail_without_role(SlotNo role) {
    TaskRef refs[dispatch::max_batch];
    int n;
    while ((n = dispatch::pop_for_scheduler(self.db, role, refs, dispatch::max_batch)) > 0) {
        const TaskRef *first = refs;
        transact("fail tasks of a dropped role", [first, n, role] {
            for (int i = 0; i < n; i++) fail_one_without_role(first[i], role);
        });
    }
}

// Starts what one role needs. True: it still lacks a worker altogether.
bool staff_role(SlotNo no, TimestampTz now, bool *short_of_slots) {
    Demand d = demand_of(no);
    if (d.ready <= 0) return false;
    if (map.roles[no].missing) {
        fail_without_role(no);
        return false;
    }
    Refusal *refusal = refusal_of(no, false);
    if (refusal != nullptr && refusal->until > now) {
        *short_of_slots = true;
        return false;
    }
    bool login = false;
    transact("look at a role", [&login, no] { login = can_login(map.roles[no].oid); });
    for (int64 want = d.ready - d.idle; want > 0; want--) {
        Started s = start_one(no, login);
        if (s == Started::Yes) {
            d.live++;
            continue;
        }
        *short_of_slots = s == Started::NoSlot;
        break;
    }
    return d.live == 0;
}

}  // namespace

void note_worker_gone(SlotNo no) {
    if (handles[no].handle != nullptr) pfree(handles[no].handle);
    handles[no].handle = nullptr;
    if (static_cast<WorkerState>(pg_atomic_read_u32(&map.shared->workers[no].state)) == WorkerState::Ended)
        if (Refusal *r = refusal_of(map.shared->workers[no].role, false)) r->failures = 0;
    free_slot(no);
    // Other databases may be waiting for the place.
    for (SlotNo db = 0; db < dispatch::max_databases; db++)
        if (dispatch::database(db).used && dispatch::database(db).no_slot_since != 0 && db != self.db) dispatch::wake_scheduler(db);
}

int live_workers() {
    int n = 0;
    for (WorkerSlot &w : map.shared->workers)
        n += w.db == self.db && static_cast<WorkerState>(pg_atomic_read_u32(&w.state)) != WorkerState::Free;
    return n;
}

bool started_workers() { return started > 0; }

TimestampTz staff(TimestampTz now) {
    started = 0;
    reap_unborn(now);
    dispatch::Database &d = my_db();
    if (pg_atomic_read_u32(&d.stopped) != 0 || config::max_workers() == 0) return never;
    bool short_of_slots = false;
    for (SlotNo r = 0; r < map.shared->used_roles; r++) {
        if (!map.roles[r].used || map.roles[r].db != self.db) continue;
        if (staff_role(r, now, &short_of_slots)) retire_one(r, now);
    }
    if (!short_of_slots)
        d.no_slot_since = 0;
    else if (d.no_slot_since == 0)
        d.no_slot_since = now;
    return short_of_slots ? now + turn_length : never;
}

}  // namespace pgqueue::worker::scheduler
