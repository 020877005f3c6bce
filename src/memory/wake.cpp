#include "memory/wake.hpp"

namespace pgqueue::memory {

void wake_procno(int procno) {
    if (procno >= 0 && procno < static_cast<int>(ProcGlobal->allProcCount))
        SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

void wake_launcher() { wake_procno(map.shared->launcher_procno.load()); }

bool launcher_missing(int64 micros) {
    if (map.shared->launcher_procno.load() >= 0) return false;
    int64 ended = map.shared->launcher_ended.load();
    return ended != 0 && pg::has_passed(pg::Deadline{ended}.after(micros));
}

void wake_scheduler(SlotNo db) {
    int procno = database(db).scheduler.procno.load();
    if (procno >= 0) {
        wake_procno(procno);
        return;
    }
    database(db).scheduler.parked.store(false);
    wake_launcher();
}

void wake_scheduler_by(SlotNo db, pg::Deadline when) {
    if (when.at < database(db).scheduler.wake_at.load()) wake_scheduler(db);
}

void wake_scheduler_at(SlotNo db, TimestampTz when) {
    if (when != INT64_MAX) wake_scheduler_by(db, pg::this_moment().until(when));
}

void wake_scheduler_if_sleeping(SlotNo db) {
    if (database(db).scheduler.sleeping.load() && database(db).scheduler.sleeping.exchange(false)) wake_scheduler(db);
}

int wake_idle_workers(SlotNo db, SlotNo role, int count) {
    if (database(db).workers.idle.load() == 0) return 0;
    int woken = 0;
    for (WorkerSlot &w : map.shared->workers) {
        if (w.db != db || w.role != role) continue;
        if (!w.state.replace(WorkerState::Idle, WorkerState::Busy)) continue;
        database(db).workers.idle.fetch_sub(1);
        wake_procno(w.procno);
        if (++woken == count) break;
    }
    return woken;
}

bool ask_to_leave(WorkerSlot *w) {
    if (!w->leave.replace(0, pg::monotonic_now())) return false;
    wake_procno(w->procno);
    return true;
}

void wake_result_waiters(SlotNo db, int64 id) {
    if (database(db).waiters.results.load() == 0) return;
    for (ResultWaiter &w : map.shared->waiters)
        if (w.task_id.load() == id && w.db == db) wake_procno(w.procno);
}

}  // namespace pgqueue::memory
