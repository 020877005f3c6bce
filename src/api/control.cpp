// Operation of the service: adopt, start and stop workers, version, a cleaning pass on demand.
#include "api/call.hpp"
#include "api/waiting.hpp"

#include "dispatch/pop.hpp"
#include "handover/actions.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "pg/process.hpp"
#include "store/identity.hpp"

#include <signal.h>

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

bool alive(const memory::WorkerSlot &w) {
    auto s = w.state.load();
    return s == memory::WorkerState::Starting || s == memory::WorkerState::Idle || s == memory::WorkerState::Busy;
}

int count_workers(memory::SlotNo db, Oid role) {
    int n = 0;
    for (const memory::WorkerSlot &w : memory::map.shared->workers)
        n += w.db == db && db >= 0 && alive(w) && (!OidIsValid(role) || memory::map.roles[w.role].oid == role);
    return n;
}

memory::SlotNo my_database() {
    memory::SlotNo db = memory::ensure_database(MyDatabaseId);
    if (db < 0) ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("pgqueue serves no more databases"));
    return db;
}

// Waits until a condition holds or the time has passed. Checks when the latch is set, and at least every 50 ms.
template <typename F>
bool wait_until(pg::Deadline end, F done) {
    while (!done()) {
        if (pg::has_passed(end)) return false;
        sleep_with_client(50, "PgqueueWorkersEnd");
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
    return true;
}

// The server restarts an ended launcher by the wall clock. If the clock is set back by a day, that takes a day.
void ensure_launcher() {
    if (!memory::launcher_missing(0)) return;
    BackgroundWorker w = pg::launcher_process();
    BackgroundWorkerHandle *handle;
    if (!RegisterDynamicBackgroundWorker(&w, &handle))
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_RESOURCES), errmsg("no process slot is free for the launcher"),
                errhint("Raise max_worker_processes."));
}

}  // namespace

PGQ_FUNCTION(pgqueue_adopt) {
    (void)fcinfo;
    check_call("adopt", true);
    require_admin();
    if (!store::is_ours()) store::adopt();
    handover::serve_at_commit(MyDatabaseId, my_database() >= 0);
    PG_RETURN_VOID();
}

PGQ_FUNCTION(pgqueue_ensure_workers) {
    (void)fcinfo;
    check_call("ensure_workers", true);
    require_admin();
    memory::SlotNo db = my_database();
    memory::database(db).service.stopped_since.store(0);
    ensure_launcher();
    memory::wake_scheduler(db);
    // Gives the scheduler the moment that it needs to start what is due.
    wait_until(pg::deadline_in(USECS_PER_SEC), [db] {
        for (memory::SlotNo r = 0; r < memory::map.shared->used_roles; r++)
            if (const memory::Role &role = memory::map.roles[r];
                role.used && role.db == db && role.workers.load() == 0 && dispatch::ready_for_role(r) > 0)
                return false;
        return true;
    });
    PG_RETURN_INT32(count_workers(db, InvalidOid));
}

PGQ_FUNCTION(pgqueue_stop_workers) {
    check_call("stop_workers", true);
    require_admin();
    Oid role = PG_ARGISNULL(0) ? InvalidOid : get_role_oid(text_arg(fcinfo, 0), false);
    int64 micros = wait_time(fcinfo, 1);
    memory::SlotNo db = my_database();
    int before = count_workers(db, role);
    if (!OidIsValid(role)) memory::database(db).service.stopped_since.replace(0, pg::monotonic_now());
    auto each = [db, role](auto f) {
        for (memory::WorkerSlot &w : memory::map.shared->workers)
            if (w.db == db && alive(w) && (!OidIsValid(role) || memory::map.roles[w.role].oid == role)) f(w);
    };
    each([](memory::WorkerSlot &w) { (void)memory::ask_to_leave(&w); });
    auto gone = [db, role] { return count_workers(db, role) == 0; };
    if (!wait_until(pg::deadline_in(micros), gone)) {
        each([](memory::WorkerSlot &w) {
            if (w.pid != 0) kill(w.pid, SIGTERM);
        });
        wait_until(pg::deadline_in(10 * int64(USECS_PER_SEC)), gone);
    }
    PG_RETURN_INT32(before - count_workers(db, role));
}

PGQ_FUNCTION(pgqueue_version) {
    (void)fcinfo;
    PG_RETURN_TEXT_P(cstring_to_text(PGQUEUE_VERSION));
}

// Makes the housekeeper run one pass with these parameters, and waits for its end (for tests).
PGQ_FUNCTION(pgqueue_internal_clean) {
    check_call("clean", true);
    memory::SlotNo db = my_database();
    BackgroundWorker w = pg::housekeeper_process(db);
    int64 parameters[2] = {PG_GETARG_INT64(0), PG_ARGISNULL(1) ? 0 : PG_GETARG_TIMESTAMPTZ(1)};
    memcpy(w.bgw_extra, parameters, sizeof(parameters));
    BackgroundWorkerHandle *handle;
    if (!RegisterDynamicBackgroundWorker(&w, &handle))
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_RESOURCES), errmsg("no process slot is free for the housekeeper"),
                errhint("Raise max_worker_processes."));
    WaitForBackgroundWorkerShutdown(handle);
    PG_RETURN_VOID();
}
