#include "signal/cancel.hpp"

#include "pg/guards.hpp"

#include <signal.h>

namespace pgqueue::signal {

const char *kept_reason(const char *reason) {
    if (reason == nullptr) return nullptr;
    int length = pg_mbcliplen(reason, static_cast<int>(strlen(reason)), cancel_reason_bytes - 1);
    char *kept = static_cast<char *>(MemoryContextAlloc(TopTransactionContext, static_cast<Size>(length) + 1));
    memcpy(kept, reason, static_cast<Size>(length));
    kept[length] = '\0';
    return kept;
}

namespace {

bool holds(const WorkerSlot &w, int64 id) {
    for (int i = 0; i < Min(w.n_holds.load(), max_batch); i++)
        if (const Hold &h = w.holds[i]; h.ref.id == id && h.state.load() != HoldState::None) return true;
    return false;
}

// Returns who gets the request: the worker that has the task now; else an idle one of the same role without a request,
// for a task that will be tried again; else the first one, when it is free.
SlotNo worker_for(SlotNo first, int64 id) {
    auto find = [first](auto wanted) {
        for (SlotNo i = 0; i < max_workers; i++)
            if (const WorkerSlot &w = map.shared->workers[i];
                w.db == map.shared->workers[first].db && w.pid != 0 && wanted(w))
                return i;
        return SlotNo{-1};
    };
    if (holds(map.shared->workers[first], id)) return first;
    const SlotNo holder = find([id](const WorkerSlot &w) { return holds(w, id); });
    if (holder >= 0) return holder;
    const SlotNo idle = find([first](const WorkerSlot &w) {
        return w.role == map.shared->workers[first].role && w.state.load() == WorkerState::Idle &&
               w.cancel_id.load() == 0;
    });
    return idle >= 0 ? idle : first;
}

}  // namespace

void cancel_worker(SlotNo worker, const Cancel &c) {
    WorkerSlot &w = map.shared->workers[worker_for(worker, c.id)];
    {
        pg::LwLockGuard lock(workers_lock());
        strlcpy(w.cancel_reason, c.reason != nullptr ? c.reason : "", sizeof(w.cancel_reason));
        w.cancel_attempt.store(c.attempt);
        w.cancel_id.store(c.id);
    }
    pid_t pid = w.pid;
    if (pid != 0) kill(pid, c.force && holds(w, c.id) ? SIGTERM : SIGUSR2);
}

void cancel_running(SlotNo queue) {
    pg_memory_barrier();
    for (SlotNo i = 0; i < max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (w.db < 0 || w.db != map.queues[queue].db) continue;
        for (int h = 0; h < Min(w.n_holds.load(), max_batch); h++)
            if (const Hold &held = w.holds[h]; held.queue == queue && held.state.load() == HoldState::Running)
                cancel_worker(i, {held.ref.id, held.attempt, false, nullptr});
    }
}

char *cancel_reason(const WorkerSlot &w, int64 id, int32 attempt) {
    char reason[cancel_reason_bytes];
    bool meant;
    {
        pg::LwLockGuard lock(workers_lock(), LW_SHARED);
        meant = w.cancel_id.load() == id && w.cancel_attempt.load() <= attempt;
        memcpy(reason, w.cancel_reason, sizeof(reason));
    }
    return meant && reason[0] != '\0' ? pstrdup(reason) : nullptr;
}

}  // namespace pgqueue::signal
