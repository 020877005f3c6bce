#include "dispatch/outside.hpp"

#include "dispatch/notes.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/wake.hpp"

namespace pgqueue::dispatch {
namespace {

enum class Kind { Retained, Over, Extended };

struct HoldNote {
    SubTransactionId sub;
    Kind kind;
    SlotNo queue;
    int32 priority;
    int64 receipt;
    TaskRef ref;
    uint64 key;         // Retained: of its group
    TimestampTz dies;   // Retained
    LeaseTime time;     // Retained, Extended
};

constinit Notes<HoldNote> holds{};

HoldNote *add_note(Kind kind, int64 receipt, const TaskRef &ref) {
    HoldNote *n = holds.add();
    *n = HoldNote{n->sub, kind, -1, 0, receipt, ref, 0, 0, {}};
    return n;
}

// As if the task had never been taken; it is first in line again when its place is still free.
void give_back(const HoldNote &n) {
    // The scheduler may have ended the lease between the abort and this; the hint is missing then as well.
    Place place;
    bool held = take_lease_out(n.ref.id, n.receipt, &place);
    // Its group goes on when it is there again.
    put_back(n.queue, n.priority, n.ref, n.key, n.dies);
    if (held) end_running(place.queue, place.group);
}

// The lease goes on; when it has ended meanwhile, under the row's lock, that is to be seen now.
void leave(const HoldNote &n) {
    Lease lease;
    if (!find_lease(n.ref.id, &lease, n.receipt) || !is_over(lease, pg::this_moment())) return;
    note_lease_end(lease.db, 1);
    wake_scheduler(lease.db);
}

bool waits_for(const TaskWaiter &w, SlotNo queue) {
    if (w.ns != map.queues[queue].ns) return false;
    for (int i = 0; i < w.n_queues; i++)
        if (w.queues[i] == queue) return true;
    return w.n_queues == 0;
}

}  // namespace

void put_back(SlotNo queue, int32 priority, const TaskRef &ref, uint64 key, TimestampTz dies) {
    SlotNo db = map.queues[queue].db;
    SlotNo lane = outside_lane(queue);
    if (lane < 0 || state_of(db) == DbState::Unserved) return;
    return_ready({ref, lane, priority, 0, dies, key, Comes::Again});
    wake_task_waiters(queue, 1);
    wake_scheduler(db);
}

void note_retained(SlotNo entry, const LeaseRequest &lease, uint64 key) {
    HoldNote *n = add_note(Kind::Retained, lease.receipt, lease.ref);
    n->queue = lease.queue;
    n->priority = lease.priority;
    n->key = key;
    n->dies = lease.dies;
    n->time = lease.time;
    add_lease(entry, lease);
}

void note_lease_over(int64 id, int64 receipt) { add_note(Kind::Over, receipt, TaskRef{id, 0, 0, 0}); }

void note_extended(int64 id, int64 receipt, const LeaseTime &time) {
    give_leases_back_at_exit();  // one of which nobody knows who holds it becomes its own
    add_note(Kind::Extended, receipt, TaskRef{id, 0, 0, 0})->time = time;
}

bool any_holds() { return holds.count > 0 || any_unheld(); }
bool has_noted_holds() { return holds.used(); }
void forget_holds() { holds.reset(); }
void hand_up_holds(SubTransactionId sub, SubTransactionId parent) { holds.hand_up(sub, parent); }

void commit_holds(SlotNo db) {
    constexpr int at_once = 128;
    int64 earliest = INT64_MAX, dies = INT64_MAX;
    Place over[at_once];
    std::size_t n_over = 0;
    for (int i = 0; i < holds.count; i++) {
        const HoldNote &n = holds.items[i];
        if (n.kind == Kind::Extended) move_lease(n.ref.id, n.receipt, n.time, GetUserId());
        if (n.time.ends != 0) earliest = Min(earliest, n.time.ends);
        if (n.dies != 0) dies = Min(dies, n.dies);
        if (n.kind == Kind::Over && take_lease_out(n.ref.id, n.receipt, &over[n_over])) n_over++;
        if (n_over < at_once) continue;
        end_running_all({over, n_over});
        n_over = 0;
    }
    end_running_all({over, n_over});
    wake_scheduler_by(db, {earliest});
    wake_scheduler_at(db, dies);
    forget_holds();
}

void abort_holds(SubTransactionId sub) {
    return_unheld();
    for (; holds.count > 0 && (sub == InvalidSubTransactionId || holds.items[holds.count - 1].sub == sub); holds.count--) {
        const HoldNote &n = holds.items[holds.count - 1];
        if (n.kind == Kind::Retained)
            give_back(n);
        else
            leave(n);
    }
}

void wake_task_waiters(SlotNo queue, int count) {
    SlotNo db = map.queues[queue].db;
    if (pg_atomic_read_u32(&database(db).task_waiters) == 0) return;
    for (TaskWaiter &w : map.shared->task_waiters) {
        if (count <= 0) return;
        if (static_cast<WaitState>(pg_atomic_read_u32(&w.state)) != WaitState::Waiting || w.db != db || !waits_for(w, queue)) continue;
        uint32 waiting = static_cast<uint32>(WaitState::Waiting);
        if (!pg_atomic_compare_exchange_u32(&w.state, &waiting, static_cast<uint32>(WaitState::Woken))) continue;
        wake_procno(w.procno);
        count--;
    }
}

bool is_awaited_outside(SlotNo queue) {
    if (pg_atomic_read_u32(&database(map.queues[queue].db).task_waiters) == 0) return false;
    for (int i = 0; i < max_task_waiters; i++) {
        TaskWaiter w;
        if (read_waiter(i, map.queues[queue].db, &w) && waits_for(w, queue)) return true;
    }
    return false;
}

TaskWaiter *begin_wait(SlotNo ns, std::span<const SlotNo> queues) {
    for (TaskWaiter &w : map.shared->task_waiters) {
        uint32 free = static_cast<uint32>(WaitState::Free);
        if (!pg_atomic_compare_exchange_u32(&w.state, &free, static_cast<uint32>(WaitState::Filling))) continue;
        w.db = map.namespaces[ns].db;
        w.ns = ns;
        w.procno = pg::my_procno();
        w.pid = MyProcPid;
        w.role = GetUserId();
        w.since = GetCurrentTimestamp();
        // More queues than there is room for: any of the namespace, the waiter looks at its own when it wakes.
        w.n_queues = queues.size() <= waited_queues ? static_cast<int32>(queues.size()) : 0;
        for (int i = 0; i < w.n_queues; i++) w.queues[i] = queues[static_cast<std::size_t>(i)];
        pg_memory_barrier();
        pg_atomic_write_u32(&w.state, static_cast<uint32>(WaitState::Waiting));
        pg_atomic_fetch_add_u32(&database(w.db).task_waiters, 1);
        return &w;
    }
    return nullptr;
}

bool read_waiter(int no, SlotNo db, TaskWaiter *out) {
    TaskWaiter &w = map.shared->task_waiters[no];
    auto waits = [&w] {
        auto state = static_cast<WaitState>(pg_atomic_read_u32(&w.state));
        return state == WaitState::Waiting || state == WaitState::Woken;
    };
    if (!waits()) return false;
    pg_read_barrier();
    *out = w;
    pg_read_barrier();
    return waits() && out->pid == w.pid && out->db == db;
}

void end_wait(TaskWaiter *waiter) {
    pg_atomic_fetch_sub_u32(&database(waiter->db).task_waiters, 1);
    pg_atomic_write_u32(&waiter->state, static_cast<uint32>(WaitState::Free));
}

}  // namespace pgqueue::dispatch
