// The main loop of a worker process.
#include "worker/worker.hpp"

#include "config/server_settings.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/pop.hpp"
#include "executor/messages.hpp"
#include "executor/session.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "signal/running_file.hpp"
#include "store/segments.hpp"
#include "worker/claim.hpp"
#include "worker/interrupts.hpp"
#include "worker/late_cancel.hpp"
#include "worker/run.hpp"
#include "worker/task_log.hpp"

namespace pgqueue::worker::runner {

constinit Self self{};

using memory::WorkerState;

namespace {

void set_state(WorkerState s) { my_slot().state.store(s); }
void touch() { my_slot().since.store(pg::monotonic_now()); }

// Allows another worker to run a suspect.
void end_suspect_turn() {
    pg::AtomicSlot *turn = &memory::database(my_slot().db).workers.suspect;
    if (turn->load() == self.slot) turn->replace(self.slot, -1);
}

bool asked_to_leave() {
    memory::Database &d = memory::database(my_slot().db);
    bool unwanted = d.service.stopped_since.load() != 0 || d.service.blocked_by.load() != 0 || !d.service.wanted.load();
    return my_slot().leave.load() != 0 || !config::enabled || unwanted;
}

// At the end of this process, in any case, its transaction ends first. Then the scheduler takes over its tasks.
void at_exit(int, Datum) {
    if (self.slot < 0) return;
    AbortOutOfAnyTransaction();
    signal::clear_running(self.slot);
    end_suspect_turn();
    memory::WorkerSlot &w = my_slot();
    bool unborn = w.state.load() == WorkerState::Starting && !asked_to_leave();
    w.ended_by.store(unborn ? memory::EndedBy::Unborn : ended_by());
    const SlotNo db = w.db;  // once this worker has ended, the scheduler may free its slot
    WorkerState before = w.state.exchange(WorkerState::Ended);
    if (before == WorkerState::Idle) memory::database(db).workers.idle.fetch_sub(1);
    memory::wake_scheduler(db);
}

// Returns how many tasks to take at once: one, unless tasks are so short that claiming takes longer than running.
int batch_size() {
    constexpr double short_task_us = 500, batch_us = 4000;
    if (self.mean_run_us <= 0 || self.mean_run_us > short_task_us) return 1;
    int most = Min(static_cast<int>(batch_us / self.mean_run_us), memory::max_batch);
    int64 workers = Max(memory::map.roles[my_slot().role].workers.load(), 1);
    int64 share = dispatch::ready_for_role(my_slot().role) / workers;
    return Max(1, static_cast<int>(Min(int64(most), share)));
}

// There is work without a worker: the scheduler may start another one.
void tell_of_more_work() {
    if (dispatch::ready_for_role(my_slot().role) > 0) memory::wake_scheduler_if_sleeping(my_slot().db);
}

bool work_once() {
    if (dispatch::pop_for_worker(self.slot, batch_size()) == 0) return false;
    tell_of_more_work();
    memory::WorkerSlot &w = my_slot();
    auto *claimed = static_cast<Claimed *>(MemoryContextAlloc(self.batch, sizeof(Claimed) * memory::max_batch));
    PGQUEUE_TESTPOINT("worker-popped");
    int n = claim(claimed);
    PGQUEUE_TESTPOINT("worker-claimed");
    for (int i = 0; i < n; i++) {
        run(&claimed[i]);
        take_late_cancel();
        CHECK_FOR_INTERRUPTS();
    }
    w.giving_back.store(false);
    w.n_holds.store(0);
    end_suspect_turn();
    MemoryContextReset(self.batch);
    return true;
}

// Marks this worker as idle. The caller then checks once more for work, because a commit may have come just before.
bool become_idle() {
    touch();
    set_state(WorkerState::Idle);
    memory::database(my_slot().db).workers.idle.fetch_add(1);
    pg_memory_barrier();
    return true;
}

// Removes this worker from the idle ones. Returns false if another process has done so to give it work.
bool stop_idling(WorkerState to) {
    if (!my_slot().state.replace(WorkerState::Idle, to)) return false;
    memory::database(my_slot().db).workers.idle.fetch_sub(1);
    return true;
}

// Sleeps until there may be work. Returns false if it was idle for too long.
bool wait_for_work() {
    become_idle();
    if (dispatch::ready_for_role(my_slot().role) > 0 || asked_to_leave()) {
        stop_idling(WorkerState::Busy);
        return true;
    }
    dispatch::drain_for_role(my_slot().role);
    if (dispatch::ready_for_role(my_slot().role) > 0) {
        stop_idling(WorkerState::Busy);
        return true;
    }
    pgstat_report_activity(STATE_IDLE, nullptr);
    pgstat_report_stat(true);
    // A late cancel whose row is locked is tried again soon.
    constexpr int look_again_ms = 100;
    const bool owes_cancel = my_slot().cancel_id.load() != 0;
    const int longest = Max(config::worker_idle_timeout, 1);
    int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                           owes_cancel ? Min(longest, look_again_ms) : longest, pg::wait_event("PgqueueWorkerIdle"));
    ResetLatch(MyLatch);
    bool timed_out = (events & WL_TIMEOUT) != 0 && !owes_cancel;
    return !(stop_idling(WorkerState::Busy) && timed_out);
}

void set_up() {
    self.batch = AllocSetContextCreate(TopMemoryContext, "pgqueue claimed tasks", ALLOCSET_DEFAULT_SIZES);
    self.task = AllocSetContextCreate(TopMemoryContext, "pgqueue task", ALLOCSET_DEFAULT_SIZES);
    snprintf(self.name, sizeof(self.name), "server/%d", MyProcPid);
    StartTransactionCommand();
    strlcpy(self.role, GetUserNameFromId(GetSessionUserId(), false), sizeof(self.role));
    strlcpy(self.database, get_database_name(MyDatabaseId), sizeof(self.database));
    CommitTransactionCommand();
    install_interrupts();
    install_task_log();
    executor::become_client();
    store::set_current_segment_source(&memory::database(my_slot().db).current_segment);
    pgstat_report_appname("pgqueue worker");
}

}  // namespace

// Takes the slot that the scheduler has reserved for this process. Returns false if the slot is no longer reserved for
// it.
bool occupy_slot(uint32 generation) {
    memory::WorkerSlot &w = my_slot();
    pg::LwLockGuard lock(memory::workers_lock());
    if (w.generation != generation || w.state.load() != WorkerState::Starting) return false;
    w.procno = pg::my_procno();
    w.pid = MyProcPid;
    return true;
}

void serve(bool can_login) {
    memory::WorkerSlot &w = my_slot();
    // A session that needs the database alone only waits for workers whose pid it has seen.
    pg_memory_barrier();
    if (asked_to_leave()) return;
    Oid role = memory::map.roles[w.role].oid;
    // Without a role, it would be a session of a superuser.
    if (!OidIsValid(role))
        ereport(FATAL, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role of a pgqueue worker is not known"));
    executor::connect(memory::database(w.db).oid, role, can_login);
    set_up();
    w.joined.store(pg::monotonic_now());
    touch();
    set_state(WorkerState::Busy);
    memory::wake_scheduler(w.db);
    while (!asked_to_leave()) {
        CHECK_FOR_INTERRUPTS();
        reload_if_asked();
        MemoryContextSwitchTo(self.task);
        take_late_cancel();
        if (work_once()) continue;
        touch();
        if (!wait_for_work()) break;
    }
}

void exit_callback(int code, Datum arg) { at_exit(code, arg); }

}  // namespace pgqueue::worker::runner

// Entry of a worker; the argument is the number of its slot.
extern "C" PGDLLEXPORT void pgqueue_worker_main(Datum arg);

void pgqueue_worker_main(Datum arg) {
    using namespace pgqueue::worker;
    runner::self.slot = DatumGetInt32(arg);
    WorkerStart start;
    memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
    if (!runner::occupy_slot(start.generation)) proc_exit(0);
    begin_process(runner::exit_callback, Datum(0));
    runner::serve(start.can_login);
    proc_exit(0);
}
