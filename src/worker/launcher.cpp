// The only static process. It keeps a scheduler running in each database that needs one. It checks a new database by
// starting a scheduler there, which leaves at once if it finds no extension. The launcher reads shared catalogs only,
// so no damaged database can harm it.
#include "worker/processes.hpp"

#include "config/server_settings.hpp"
#include "dispatch/free_dropped.hpp"
#include "dispatch/limits.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "pg/failure_log.hpp"
#include "pg/guards.hpp"
#include "pg/limited.hpp"
#include "signal/crash_loop.hpp"
#include "signal/ticker_posts.hpp"

#include <signal.h>

namespace pgqueue::worker {
namespace {

using memory::Database;
using memory::database;
using memory::map;

// What this process knows about a scheduler that it has started.
struct Started {
    uint32 generation;
    BackgroundWorkerHandle *handle;
    pg::Deadline at;  // start, or when the next try is allowed
    int failures;     // in a row
};

constinit Started started[memory::max_databases] = {};
constexpr int64 first_wait = 200 * 1000;
constexpr int64 longest_wait = 30 * int64(USECS_PER_SEC);
constexpr int64 healthy_after = 10 * int64(USECS_PER_SEC);

void at_exit(int, Datum) {
    map.shared->launcher_ended.store(pg::monotonic_now());
    map.shared->launcher_procno.store(-1);
}

// Makes the workers of a database without service leave, and frees the slots of those that have left. Returns whether
// none is left. The tasks that they held need no care, because the rows are gone or not ours.
bool workers_gone(SlotNo db) {
    bool gone = true;
    for (SlotNo i = 0; i < memory::max_workers; i++) {
        memory::WorkerSlot &w = map.shared->workers[i];
        auto state = w.state.load();
        if (w.db != db || state == memory::WorkerState::Free) continue;
        if (never_came(w, pg::this_moment()) && take_from_unborn(&w)) {
            free_worker_slot(i);
            continue;
        }
        if (state != memory::WorkerState::Ended) {
            gone = false;
            (void)memory::ask_to_leave(&w);
            // Without the extension, even a running task has ended.
            if (w.pid != 0 && database(db).service.no_extension.load()) kill(w.pid, SIGTERM);
            continue;
        }
        for (int h = 0; h < w.n_holds.load(); h++)
            if (w.holds[h].state.exchange(memory::HoldState::None) != memory::HoldState::None)
                dispatch::end_running(w.holds[h].queue, w.holds[h].group);
        free_worker_slot(i);
    }
    return gone;
}

void leave_out(const char *database) {
    pg::ErrorReport e;
    e.sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
    e.message = psprintf("it serves at most %d databases", memory::max_databases);
    pg::log_refusal(psprintf("pgqueue leaves out database \"%s\"", database), e);
}

// Makes an entry for every database that accepts connections.
void see_databases(bool *seen) {
    pg::RelationRef rel(DatabaseRelationId, AccessShareLock);
    pg::ActiveSnapshot snapshot;
    TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        auto form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        constexpr int32 invalid = -2;  // a DROP DATABASE was interrupted, and no session can connect
        if (!form->datallowconn || form->datconnlimit == invalid || form->datistemplate ||
            !config::serves_database(NameStr(form->datname)))
            continue;
        SlotNo db = memory::ensure_database(form->oid);
        if (db < 0) {
            leave_out(NameStr(form->datname));
            continue;
        }
        seen[db] = true;
        // Probes it once; a session there may have made the entry.
        if (!database(db).service.looked.exchange(true)) database(db).service.wanted.store(true);
    }
    table_endscan(scan);
}

// Reads which databases exist, and forgets those that are gone. Returns false, with no change, if another session has
// locked the catalog.
bool read_databases() {
    bool seen[memory::max_databases] = {};
    pg::Outcome out = pg::run_limited([&seen] { see_databases(seen); }, TopMemoryContext);
    if (!out.ok) {
        pg::log_refusal("pgqueue launcher could not read which databases there are", out.error);
        return false;
    }
    for (SlotNo db = 0; db < memory::max_databases; db++) {
        Database &d = database(db);
        if (!d.used || seen[db]) continue;
        d.service.wanted.store(false);
        pid_t pid = d.scheduler.pid.load();
        if (pid != 0)
            kill(pid, SIGTERM);  // its entry is removed next time
        else if (d.service.blocked_by.load() == 0 && workers_gone(db))
            dispatch::drop_database(db);
    }
    return true;
}

// There is no process slot for a scheduler. Makes idle schedulers leave, or else a worker.
void make_room(SlotNo for_db, const pg::Moment &now) {
    database(for_db).service.needs_first_process.store(true);
    for (SlotNo db = 0; db < memory::max_databases; db++)
        if (database(db).used && database(db).scheduler.pid.load() != 0) memory::wake_scheduler(db);
    retire_worker(-1, true, now);
}

int64 wait_after(int failures) { return Min(first_wait << Min(failures, 10), longest_wait); }

constexpr int64 clock_look = 60 * int64(USECS_PER_SEC);

// Sleeps are measured by the monotonic clock. Once a minute, checks whether the wall clock was set, or the machine was
// asleep. If so, makes every scheduler check what waits for a time of day.
void watch_clock(const pg::Moment &now) {
    static constinit pg::Moment last{};
    int64 step = last.wall != 0 ? now.step_since(last) : 0;
    last = now;
    for (SlotNo db = 0; step != 0 && db < memory::max_databases; db++) {
        if (!database(db).used) continue;
        // A scheduler that starts after the step does not notice it.
        signal::serve_tickers_since(db, now.wall);
        memory::wake_scheduler(db);
    }
}

// Starts the scheduler of a database that needs one. Returns when to check again.
pg::Deadline keep_scheduler(SlotNo db, const pg::Moment &now) {
    Database &d = database(db);
    Started &s = started[db];
    uint32 generation = d.generation.load();
    if (s.generation != generation) s = Started{generation, nullptr, {}, 0};
    if (d.scheduler.pid.load() != 0) {
        if (s.failures > 0 && s.at.after(healthy_after).passed(now)) s.failures = 0;
        return never;
    }
    if (!d.service.wanted.load() && d.service.blocked_by.load() == 0) {
        // No scheduler will free the entries of the extension.
        bool done = workers_gone(db) && !dispatch::free_dropped(db);
        return done ? never : now.in(USECS_PER_SEC);
    }
    if (!config::enabled || !d.service.wanted.load() || d.service.blocked_by.load() != 0) return never;
    if (d.scheduler.parked.load()) {
        pg::Deadline back{d.scheduler.wake_at.load()};
        if (!back.passed(now)) return back;
    }
    // A scheduler that left by itself is started again at its deadline, or when a process woke us for new work.
    if (s.handle != nullptr) {
        pid_t pid;
        BgwHandleStatus status = GetBackgroundWorkerPid(s.handle, &pid);
        if (status == BGWH_NOT_YET_STARTED || status == BGWH_STARTED) return now.in(first_wait);
        pfree(s.handle);
        s.handle = nullptr;
        bool left = d.scheduler.left.exchange(false);
        if (!left) signal::record_death(&d.scheduler.deaths);
        s.failures = !left && !s.at.after(healthy_after).passed(now) ? s.failures + 1 : 0;
        s.at = now.in(s.failures > 1 ? wait_after(s.failures) : 0);
    }
    if (!s.at.passed(now)) return s.at;
    if (start_scheduler(db, &s.handle)) {
        s.at = now.in(0);
        return now.in(first_wait);
    }
    s.handle = nullptr;
    if (d.service.no_slot_since.load() == 0) d.service.no_slot_since.store(now.monotonic);
    make_room(db, now);
    s.at = now.in(turn_length);
    return s.at;
}

}  // namespace
}  // namespace pgqueue::worker

// Entry of the launcher.
extern "C" PGDLLEXPORT void pgqueue_launcher_main(Datum);

void pgqueue_launcher_main(Datum) {
    using namespace pgqueue;
    using namespace pgqueue::worker;
    // The launcher that the server restarts may come while that of ensure_workers() is running.
    if (!map.shared->launcher_procno.replace(-1, pg::my_procno())) proc_exit(0);
    begin_process(at_exit, Datum(0));
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    MemoryContextSwitchTo(TopMemoryContext);
    set_up_session("pgqueue launcher");
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        // Schedulers that have left do not notice new settings. Each is started to check what they mean for its
        // database.
        if (reload_if_asked())
            for (SlotNo db = 0; db < memory::max_databases; db++)
                if (database(db).used) memory::wake_scheduler(db);
        SetCurrentStatementStartTimestamp();
        bool read = read_databases();
        pg::Moment now = pg::this_moment();
        watch_clock(now);
        pg::Deadline next = read ? never : now.in(USECS_PER_SEC);
        for (SlotNo db = 0; db < memory::max_databases; db++) {
            if (!database(db).used) continue;
            next = Min(next, keep_scheduler(db, now));
            // A clock that is set only affects what waits for its time.
            bool waits = database(db).scheduler.wake_at.load() != never.at;
            if (waits) next = Min(next, now.in(clock_look));
        }
        pgstat_report_activity(STATE_IDLE, nullptr);
        pgstat_report_stat(true);
        int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (next == never ? 0 : WL_TIMEOUT);
        long ms = next == never ? -1 : Max(1, pg::ms_until(next));
        (void)WaitLatch(MyLatch, events, ms, pg::wait_event("PgqueueLauncher"));
        ResetLatch(MyLatch);
    }
}
