// Runs the tasks of the system queue, each a pass of the collector of segments, in a separate process so that no due
// time waits for it. Each transaction that removes or moves rows passes the changes to shared memory at its commit.
#include "worker/processes.hpp"

#include "config/server_settings.hpp"
#include "dispatch/session_leases.hpp"
#include "memory/held_back.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "pg/failure_log.hpp"
#include "pg/limited.hpp"
#include "pg/snapshots.hpp"
#include "store/catalog.hpp"
#include "store/cleaning/pass.hpp"
#include "store/dedup.hpp"
#include "store/identity.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"
#include "store/statistics.hpp"
#include "task/outside.hpp"
#include "task/make_receipt.hpp"
#include "task/requested_end.hpp"
#include "task/row_lock.hpp"

namespace pgqueue::worker {
namespace {

constinit SlotNo my_db = -1;

void at_exit(int, Datum) {
    AbortOutOfAnyTransaction();
    dispatch::end_session_leases();
    memory::database(my_db).housekeeper.pid.replace(MyProcPid, 0);
    memory::wake_scheduler(my_db);
}

// Rows are dropped only if their queue's row is gone, and never in a database that is being restored, whose queues come
// last. Ids of queues are not reused, so a queue that was found gone need not be looked up again.
store::QueueEnd queue_end(void *, int32 queue_id) {
    static constinit int32 gone = 0;
    if (queue_id == gone) return {true, 0, false};
    if (const store::QueueInfo *q = store::queue_by_id(queue_id))
        return {false, q->retention, q->on_finish == store::OnFinish::Archive};
    if (!store::is_ours()) return {false, -1, false};
    gone = queue_id;
    return {true, 0, false};
}

void on_removed(void *, const store::TaskRow &row) { task::announce_removed(task::queue_of(row), row); }

// A hint in memory still leads to the task, by its id. But a process that popped it while we held the row has skipped
// it. So the task is hinted again, whether this commits or not; a double hint does no harm. That is noted first,
// because anything after it may fail.
void on_moving(void *, const store::TaskRow &row) { task::touch(task::queue_of(row), row); }

void on_moved(void *, const store::TaskRow &row, const TaskRef &now_at) {
    if (!is_waiting(row.status)) return;
    store::TaskRow moved = row;
    moved.ref = now_at;
    task::hint_again(task::queue_of(moved), moved, memory::Arrival::InPlace);
}

void on_current(void *, int slot) { memory::database(my_db).current_segment.store(slot); }

void remove_keys(TimestampTz at) {
    int64 removed = 0;
    pg::Outcome out = pg::run_limited([&] { removed = store::clean_keys(at); }, TopMemoryContext);
    if (!out.ok && !pg::met_lock(out))
        ereport(ERROR, errcode(out.error.sqlstate), errmsg("while removing dedup keys: %s", out.error.message));
    ereport(DEBUG1, errmsg_internal("pgqueue housekeeper: removed " INT64_FORMAT " dedup keys", removed));
}

// Removes saved statistics of deleted queues and namespaces. In a database that is being restored, these come last.
void remove_statistics() {
    pg::Outcome out = pg::run_limited(
        [] {
            if (store::is_ours()) (void)store::remove_saved_of_nothing();
        },
        TopMemoryContext);
    if (!out.ok && !pg::met_lock(out))
        ereport(ERROR, errcode(out.error.sqlstate), errmsg("while removing statistics: %s", out.error.message));
}

// Records for health whether a segment waits, since when, and for which process. kept: what else is known to be held.
void record_held_back(const store::CleanReport &report, uint32 kept) {
    memory::Database &d = memory::database(my_db);
    bool before = d.housekeeper.held_back.load() != 0;
    uint32 held = kept;
    if (report.condemning_held) held |= memory::condemning_held;
    if (report.truncation_held) held |= memory::truncation_held;
    if (held != 0 && !before) d.housekeeper.held_back_since.store(GetCurrentTimestamp());
    d.housekeeper.holder_xmin.store(report.holder_xmin);
    d.housekeeper.holder_pid.store(TransactionIdIsNormal(report.holder_xmin) ? pg::holder_of(report.holder_xmin) : 0);
    d.housekeeper.held_back.store(held);
}

// A truncation that waits is tried again soon: the scheduler starts a process for it (scheduler/housekeeping.cpp).
void truncate_held_back() {
    const uint32 held = memory::database(my_db).housekeeper.held_back.load();
    if ((held & memory::truncation_held) == 0) return;
    store::CleanReport report = store::truncate();
    if (report.failure != nullptr) ereport(LOG, errmsg("pgqueue housekeeper failed %s", report.failure));
    if (report.failure == nullptr && !report.skipped) record_held_back(report, held & memory::condemning_held);
}

int64 usual_limit() { return int64(config::segment_size) * 1024; }

// Runs one pass. Raises an error that says why it ended early.
void run_pass(int64 limit, TimestampTz at) {
    store::CleanSink sink{nullptr, on_removed, on_moving, on_moved, on_current};
    memory::database(my_db).cleaning.owed.store(false);
    store::CleanReport report = store::clean(limit, at, queue_end, nullptr, sink);
    record_held_back(report, 0);
    // A full segment that found no free slot is rotated in the next pass, once this one has made a segment free or is
    // about to.
    bool rotates = report.stuck && (report.truncated > 0 || report.truncation_held);
    if (report.skipped || report.condemning_held || rotates) memory::database(my_db).cleaning.owed.store(true);
    ereport(DEBUG1, errmsg_internal("pgqueue housekeeper: removed " INT64_FORMAT ", archived " INT64_FORMAT
                                    ", moved " INT64_FORMAT ", truncated %d",
                                    report.removed, report.archived, report.moved, report.truncated));
    if (report.failure != nullptr) ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("%s", report.failure));
    remove_keys(at);
    remove_statistics();
}

// Returns the next task of the system queue, held by this session; 0: none.
struct HeldTask {
    int64 id = 0, receipt = 0;
};

HeldTask take_task() {
    HeldTask held;
    pg::Outcome out = pg::run_limited(
        [&held] {
            const store::QueueInfo *q = store::queue_by_id(store::housekeeping_queue);
            memory::SlotNo queue = q != nullptr ? task::ensure_entry(*q) : -1;
            if (queue < 0) return;
            store::TaskRow row;
            int64 receipt = task::new_receipt();
            if (task::take({memory::map.queues[queue].ns, {&queue, 1}, "pgqueue housekeeper", receipt, -1, true}, &row,
                           1) == 1)
                held = {row.ref.id, receipt};
        },
        TopMemoryContext);
    if (!out.ok) pg::log_refusal("pgqueue housekeeper could not take its task", out.error);
    return held;
}

void end_task(const HeldTask &held, const pg::Outcome &pass) {
    pg::Outcome out = pg::run_limited(
        [&] {
            store::TaskRow row;
            // Another transaction holds it. It ends with the lease of this session, and is taken again.
            if (task::lock_row(held.id, store::Wait::Skip, false, &row) != store::Locked::Yes) return;
            if (task::hold(held.id, held.receipt, &row) != task::LeaseCheck::Yes) return;
            const task::QueueRef queue = task::queue_of(row);
            if (pass.ok)
                task::release(queue, &row, nullptr, store::Wait::Skip);
            else
                task::end_held(queue, &row, {task::Ending::What::Failed, pass.error.message, -1, false, nullptr});
        },
        TopMemoryContext);
    if (!out.ok) pg::log_refusal("pgqueue housekeeper could not end its task", out.error);
}

}  // namespace

void housekeep(SlotNo db, int64 limit, TimestampTz at) {
    my_db = db;
    before_shmem_exit(at_exit, Datum(0));
    memory::database(db).housekeeper.pid.store(MyProcPid);
    // A session that needs the database alone only waits for a housekeeper whose pid it has seen.
    pg_memory_barrier();
    if (memory::database(db).service.blocked_by.load() != 0) return;
    BackgroundWorkerInitializeConnectionByOid(memory::database(db).oid, InvalidOid, 0);
    set_up_session("pgqueue housekeeper");
    if (limit > 0 || at != 0) {
        pg::Outcome pass = pg::run_then_abort_on_error(
            [=] { run_pass(limit > 0 ? limit : usual_limit(), at != 0 ? at : GetCurrentTimestamp()); },
            TopMemoryContext);
        if (!pass.ok) ereport(LOG, errmsg("pgqueue housekeeper failed %s", pass.error.message));
        return;
    }
    save_statistics(db);
    truncate_held_back();
    for (HeldTask held = take_task(); held.id != 0; held = take_task()) {
        pg::Outcome pass =
            pg::run_then_abort_on_error([] { run_pass(usual_limit(), GetCurrentTimestamp()); }, TopMemoryContext);
        if (!pass.ok) ereport(LOG, errmsg("pgqueue housekeeper failed %s", pass.error.message));
        end_task(held, pass);
    }
}

}  // namespace pgqueue::worker

// Entry of the housekeeper. The argument is the number of its database's entry. bgw_extra has two int64: the limit in
// bytes and the time, 0 for the usual ones.
extern "C" PGDLLEXPORT void pgqueue_housekeeper_main(Datum arg);

void pgqueue_housekeeper_main(Datum arg) {
    using namespace pgqueue::worker;
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    int64 parameters[2];
    memcpy(parameters, MyBgworkerEntry->bgw_extra, sizeof(parameters));
    housekeep(DatumGetInt32(arg), parameters[0], parameters[1]);
    proc_exit(0);
}
