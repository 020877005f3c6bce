#include "memory/wake.hpp"

namespace pgqueue::memory {

void wake_procno(int procno) {
    if (procno >= 0 && procno < static_cast<int>(ProcGlobal->allProcCount)) SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

void wake_launcher() { wake_procno(static_cast<int>(pg_atomic_read_u32(&map.shared->launcher_procno)) - 1); }

bool launcher_missing(int64 micros) {
    if (pg_atomic_read_u32(&map.shared->launcher_procno) != 0) return false;
    int64 ended = static_cast<int64>(pg_atomic_read_u64(&map.shared->launcher_ended));
    return ended != 0 && pg::has_passed(pg::Deadline{ended}.after(micros));
}

void wake_scheduler(SlotNo db) {
    uint32 procno = pg_atomic_read_u32(&database(db).scheduler_procno);
    if (procno != 0) {
        wake_procno(static_cast<int>(procno) - 1);
        return;
    }
    pg_atomic_write_u32(&database(db).parked, 0);
    wake_launcher();
}

void wake_scheduler_by(SlotNo db, pg::Deadline when) {
    if (when.at < static_cast<int64>(pg_atomic_read_u64(&database(db).wake_at))) wake_scheduler(db);
}

void wake_scheduler_at(SlotNo db, TimestampTz when) {
    if (when != INT64_MAX) wake_scheduler_by(db, pg::this_moment().until(when));
}

void wake_scheduler_if_sleeping(SlotNo db) {
    if (pg_atomic_read_u32(&database(db).sleeping) != 0 && pg_atomic_exchange_u32(&database(db).sleeping, 0) != 0) wake_scheduler(db);
}

int wake_idle_workers(SlotNo db, SlotNo role, int count) {
    if (pg_atomic_read_u32(&database(db).idle_workers) == 0) return 0;
    int woken = 0;
    for (WorkerSlot &w : map.shared->workers) {
        if (w.db != db || w.role != role) continue;
        uint32 idle = static_cast<uint32>(WorkerState::Idle);
        if (!pg_atomic_compare_exchange_u32(&w.state, &idle, static_cast<uint32>(WorkerState::Busy))) continue;
        pg_atomic_fetch_sub_u32(&database(db).idle_workers, 1);
        wake_procno(w.procno);
        if (++woken == count) break;
    }
    return woken;
}

bool ask_to_leave(WorkerSlot *w) {
    uint64 unasked = 0;
    if (!pg_atomic_compare_exchange_u64(&w->leave, &unasked, static_cast<uint64>(pg::monotonic_now()))) return false;
    wake_procno(w->procno);
    return true;
}

void wake_result_waiters(SlotNo db, int64 id) {
    if (pg_atomic_read_u32(&database(db).result_waiters) == 0) return;
    for (ResultWaiter &w : map.shared->waiters)
        if (static_cast<int64>(pg_atomic_read_u64(&w.task_id)) == id && w.db == db) wake_procno(w.procno);
}

}  // namespace pgqueue::memory
