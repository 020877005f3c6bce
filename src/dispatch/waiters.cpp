#include "dispatch/waiters.hpp"

#include "dispatch/pop.hpp"
#include "memory/wake.hpp"

namespace pgqueue::dispatch {
namespace {

bool waits_for(const TaskWaiter &w, SlotNo queue) {
    if (w.ns != map.queues[queue].ns) return false;
    for (int i = 0; i < w.n_queues; i++)
        if (w.queues[i] == queue) return true;
    return w.n_queues == 0;
}

}  // namespace

void wake_task_waiters(SlotNo queue, int count) {
    SlotNo db = map.queues[queue].db;
    if (database(db).waiters.tasks.load() == 0) return;
    for (TaskWaiter &w : map.shared->task_waiters) {
        if (count <= 0) return;
        if (w.state.load() != WaitState::Waiting || w.db != db || !waits_for(w, queue)) continue;
        if (!w.state.replace(WaitState::Waiting, WaitState::Woken)) continue;
        wake_procno(w.procno);
        count--;
    }
}

void wake_ready_waiters(SlotNo db) {
    if (database(db).waiters.tasks.load() == 0) return;
    for (TaskWaiter &w : map.shared->task_waiters) {
        if (w.state.load() != WaitState::Waiting || w.db != db) continue;
        if (!ready_for_outside(w.ns, {w.queues, static_cast<std::size_t>(w.n_queues)})) continue;
        if (w.state.replace(WaitState::Waiting, WaitState::Woken)) wake_procno(w.procno);
    }
}

bool is_awaited_outside(SlotNo queue) {
    if (database(map.queues[queue].db).waiters.tasks.load() == 0) return false;
    for (int i = 0; i < max_task_waiters; i++) {
        TaskWaiter w;
        if (read_waiter(i, map.queues[queue].db, &w) && waits_for(w, queue)) return true;
    }
    return false;
}

int count_waiting(SlotNo queue) {
    int n = 0;
    if (database(map.queues[queue].db).waiters.tasks.load() == 0) return 0;
    for (int i = 0; i < max_task_waiters; i++) {
        TaskWaiter w;
        n += read_waiter(i, map.queues[queue].db, &w) && waits_for(w, queue);
    }
    return n;
}

TaskWaiter *begin_wait(SlotNo ns, std::span<const SlotNo> queues) {
    for (TaskWaiter &w : map.shared->task_waiters) {
        if (!w.state.replace(WaitState::Free, WaitState::Filling)) continue;
        w.db = map.namespaces[ns].db;
        w.ns = ns;
        w.procno = pg::my_procno();
        w.pid = MyProcPid;
        w.role = GetUserId();
        w.since = GetCurrentTimestamp();
        // If there are more queues than fit, any task of the namespace wakes the session. It then checks its own
        // queues.
        w.n_queues = queues.size() <= waited_queues ? static_cast<int32>(queues.size()) : 0;
        for (int i = 0; i < w.n_queues; i++) w.queues[i] = queues[static_cast<std::size_t>(i)];
        pg_memory_barrier();
        w.state.store(WaitState::Waiting);
        database(w.db).waiters.tasks.fetch_add(1);
        return &w;
    }
    return nullptr;
}

bool read_waiter(int no, SlotNo db, TaskWaiter *out) {
    TaskWaiter &w = map.shared->task_waiters[no];
    auto waits = [&w] {
        auto state = w.state.load();
        return state == WaitState::Waiting || state == WaitState::Woken;
    };
    if (!waits()) return false;
    pg_read_barrier();
    *out = w;
    pg_read_barrier();
    return waits() && out->pid == w.pid && out->db == db;
}

void end_wait(TaskWaiter *waiter) {
    database(waiter->db).waiters.tasks.fetch_sub(1);
    waiter->state.store(WaitState::Free);
}

}  // namespace pgqueue::dispatch
