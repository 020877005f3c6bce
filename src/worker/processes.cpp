#include "worker/processes.hpp"

#include "memory/wake.hpp"
#include "pg/guards.hpp"
#include "pg/process.hpp"

namespace pgqueue::worker {
void register_launcher() {
    BackgroundWorker w = pg::launcher_process();
    w.bgw_notify_pid = 0;
    RegisterBackgroundWorker(&w);
}

bool start_scheduler(SlotNo db, BackgroundWorkerHandle **handle) {
    BackgroundWorker w =
        pg::process("pgqueue scheduler", "pgqueue_scheduler_main", BGW_NEVER_RESTART, Int32GetDatum(db));
    return RegisterDynamicBackgroundWorker(&w, handle);
}

bool start_worker(SlotNo slot, uint32 generation, bool can_login, BackgroundWorkerHandle **handle) {
    BackgroundWorker w = pg::process("pgqueue worker", "pgqueue_worker_main", BGW_NEVER_RESTART, Int32GetDatum(slot));
    const WorkerStart start{generation, can_login};
    memcpy(w.bgw_extra, &start, sizeof(start));
    return RegisterDynamicBackgroundWorker(&w, handle);
}

bool start_housekeeper(SlotNo db, BackgroundWorkerHandle **handle) {
    BackgroundWorker w = pg::housekeeper_process(db);
    return RegisterDynamicBackgroundWorker(&w, handle);
}

bool start_notifier(SlotNo db, BackgroundWorkerHandle **handle) {
    BackgroundWorker w = pg::process("pgqueue notifier", "pgqueue_notifier_main", BGW_NEVER_RESTART, Int32GetDatum(db));
    return RegisterDynamicBackgroundWorker(&w, handle);
}

void free_worker_slot(SlotNo no) {
    memory::WorkerSlot &w = memory::map.shared->workers[no];
    memory::map.roles[w.role].workers.fetch_sub(1);
    memory::map.shared->total_workers.fetch_sub(1);
    pg::LwLockGuard lock(memory::workers_lock());
    w.db = w.role = -1;
    w.state.store(memory::WorkerState::Free);
}

bool never_came(memory::WorkerSlot &w, const pg::Moment &now) {
    constexpr int64 time_to_start = 10 * int64(USECS_PER_SEC);
    bool starting = w.state.load() == memory::WorkerState::Starting;
    return starting && w.pid == 0 && now.monotonic - w.since.load() > time_to_start;
}

bool take_from_unborn(memory::WorkerSlot *w) {
    pg::LwLockGuard lock(memory::workers_lock());
    if (w->pid != 0 || w->state.load() != memory::WorkerState::Starting) return false;
    w->generation++;
    return true;
}

void retire_worker(SlotNo for_role, bool busy_too, const pg::Moment &now) {
    using memory::WorkerState;
    memory::WorkerSlot *idle = nullptr, *busy = nullptr;
    int32 most = 0;
    for (memory::WorkerSlot &w : memory::map.shared->workers) {
        WorkerState s = w.state.load();
        if (w.db < 0 || w.role == for_role) continue;
        int64 leave = w.leave.load();
        if (s != WorkerState::Free && leave != 0) {
            if (now.monotonic - leave < time_to_leave) return;
            continue;
        }
        int64 since = w.since.load();
        bool rested = busy_too || now.monotonic - since > pause_between_tasks;
        if (s == WorkerState::Idle && rested && (idle == nullptr || since < idle->since.load())) idle = &w;
        if (s != WorkerState::Busy || !busy_too) continue;
        int32 workers = memory::map.roles[w.role].workers.load();
        int64 there = now.monotonic - w.joined.load();
        if (workers > most && (workers > 1 || there > turn_length)) {
            most = workers;
            busy = &w;
        }
    }
    memory::WorkerSlot *victim = idle != nullptr ? idle : busy;
    if (victim != nullptr) (void)memory::ask_to_leave(victim);
}

void begin_process(void (*at_exit)(int, Datum), Datum arg) {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    before_shmem_exit(at_exit, arg);
    BackgroundWorkerUnblockSignals();
}

bool reload_if_asked() {
    if (!ConfigReloadPending) return false;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
    return true;
}

}  // namespace pgqueue::worker
