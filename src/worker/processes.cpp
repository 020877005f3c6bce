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
    BackgroundWorker w = pg::process("pgqueue scheduler", "pgqueue_scheduler_main", BGW_NEVER_RESTART, Int32GetDatum(db));
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

void free_worker_slot(SlotNo no) {
    memory::WorkerSlot &w = memory::map.shared->workers[no];
    pg_atomic_fetch_sub_u32(&memory::map.roles[w.role].workers, 1);
    pg_atomic_fetch_sub_u32(&memory::map.shared->total_workers, 1);
    pg::LwLockGuard lock(memory::workers_lock());
    w.db = w.role = -1;
    pg_atomic_write_u32(&w.state, static_cast<uint32>(memory::WorkerState::Free));
}

bool never_came(memory::WorkerSlot &w, const pg::Moment &now) {
    constexpr int64 time_to_start = 10 * int64(USECS_PER_SEC);
    bool starting = pg_atomic_read_u32(&w.state) == static_cast<uint32>(memory::WorkerState::Starting);
    return starting && w.pid == 0 && now.monotonic - static_cast<int64>(pg_atomic_read_u64(&w.since)) > time_to_start;
}

void retire_worker(SlotNo for_role, bool busy_too, const pg::Moment &now) {
    using memory::WorkerState;
    memory::WorkerSlot *idle = nullptr, *busy = nullptr;
    uint32 most = 0;
    for (memory::WorkerSlot &w : memory::map.shared->workers) {
        WorkerState s = static_cast<WorkerState>(pg_atomic_read_u32(&w.state));
        if (w.db < 0 || w.role == for_role) continue;
        uint64 leave = pg_atomic_read_u64(&w.leave);
        if (s != WorkerState::Free && leave != 0) {
            if (now.monotonic - static_cast<int64>(leave) < time_to_leave) return;
            continue;
        }
        int64 since = static_cast<int64>(pg_atomic_read_u64(&w.since));
        bool rested = busy_too || now.monotonic - since > pause_between_tasks;
        if (s == WorkerState::Idle && rested && (idle == nullptr || since < static_cast<int64>(pg_atomic_read_u64(&idle->since)))) idle = &w;
        if (s != WorkerState::Busy || !busy_too) continue;
        uint32 workers = pg_atomic_read_u32(&memory::map.roles[w.role].workers);
        int64 there = now.monotonic - static_cast<int64>(pg_atomic_read_u64(&w.joined));
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
