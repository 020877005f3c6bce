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

void cancel_worker(SlotNo worker, const Cancel &c) {
    WorkerSlot &w = map.shared->workers[worker];
    {
        pg::LwLockGuard lock(workers_lock());
        strlcpy(w.cancel_reason, c.reason != nullptr ? c.reason : "", sizeof(w.cancel_reason));
        pg_atomic_write_u32(&w.cancel_attempt, static_cast<uint32>(c.attempt));
        pg_atomic_write_u64(&w.cancel_id, static_cast<uint64>(c.id));
    }
    pid_t pid = w.pid;
    if (pid != 0) kill(pid, c.force ? SIGTERM : SIGUSR2);
}

void cancel_running(SlotNo queue) {
    pg_memory_barrier();
    for (SlotNo i = 0; i < max_workers; i++) {
        WorkerSlot &w = map.shared->workers[i];
        if (w.db < 0 || w.db != map.queues[queue].db) continue;
        for (uint32 h = 0; h < Min(pg_atomic_read_u32(&w.n_holds), uint32(max_batch)); h++)
            if (w.holds[h].queue == queue && hold_state(w.holds[h]) == HoldState::Running) cancel_worker(i, {w.holds[h].ref.id, w.holds[h].attempt, false, nullptr});
    }
}

char *cancel_reason(const WorkerSlot &w, int64 id, int32 attempt) {
    char reason[cancel_reason_bytes];
    bool meant;
    {
        pg::LwLockGuard lock(workers_lock(), LW_SHARED);
        meant = static_cast<int64>(pg_atomic_read_u64(const_cast<pg_atomic_uint64 *>(&w.cancel_id))) == id &&
                static_cast<int32>(pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&w.cancel_attempt))) == attempt;
        memcpy(reason, w.cancel_reason, sizeof(reason));
    }
    return meant && reason[0] != '\0' ? pstrdup(reason) : nullptr;
}

}  // namespace pgqueue::signal
