#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/group_sets.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/spill.hpp"
#include "dispatch/waiters.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "memory/wake.hpp"
#include "pg/failure_log.hpp"
#include "pg/guards.hpp"
#include "pg/limited.hpp"
#include "pg/testpoint.hpp"
#include "signal/dependency_posts.hpp"
#include "signal/running_file.hpp"
#include "store/identity.hpp"
#include "store/segments.hpp"
#include "store/version.hpp"

namespace pgqueue::worker::scheduler {

constinit Self self{-1, nullptr, nullptr};

using memory::DbState;

namespace {

// Keeps for health the first step that fails, until the same step succeeds.
void note_outcome(const char *what, bool ok, bool lock) {
    static constinit const char *failing = nullptr;
    memory::FailingStep &shown = my_db().scheduler.failing;
    if (ok && failing != nullptr && strcmp(failing, what) == 0) {
        failing = nullptr;
        shown.since.store(0);
    } else if (!ok && failing == nullptr) {
        failing = what;
        shown.lock = lock;
        strlcpy(shown.what, what, sizeof(shown.what));
        pg_write_barrier();
        shown.since.store(pg::monotonic_now());
    }
}

// Whether the last failed transaction met a lock.
constinit bool met_lock = false;

}  // namespace

bool in_transaction(const char *what, void (*fn)(void *), void *arg) {
    pg::Outcome out = pg::run_limited([fn, arg] { fn(arg); }, self.scratch);
    if (!out.ok) {
        pg::log_refusal(psprintf("pgqueue scheduler could not %s", what), out.error);
        met_lock = pg::met_lock(out);
    }
    note_outcome(what, out.ok, pg::met_lock(out));
    return out.ok;
}

int64 wait_after_failure(int64 usual) {
    constexpr int64 for_lock = USECS_PER_SEC / 2;
    return met_lock ? Min(usual, for_lock) : usual;
}

namespace {

constinit bool busy = false;  // in the middle of a turn

void at_exit(int, Datum) {
    if (self.db < 0) return;
    memory::Database &d = my_db();
    if (d.scheduler.pid.load() != MyProcPid) return;
    // If this process ended within a turn, what it had taken out of the lists is read again from the rows.
    if (busy || owes_expiry() || owes_hints()) d.service.state.store(DbState::Unserved);
    if (owes_settling()) signal::post_settle_all(self.db, signal::Wake::Quiet);
    d.scheduler.procno.store(-1);
    d.scheduler.sleeping.store(false);
    d.scheduler.failing.since.store(0);
    d.scheduler.pid.store(0);
    ConditionVariableBroadcast(&memory::map.shared->loaded[self.db]);
    memory::wake_launcher();
}

// Returns whether this database has a pgqueue of our version, and whether the data belongs here.
enum class Found { Unknown, No, OtherVersion, Foreign, Ours };

Found look_inside() {
    const char *version = store::installed_version();
    if (version == nullptr) return Found::No;
    if (strcmp(version, PGQUEUE_VERSION) != 0) return Found::OtherVersion;
    return store::is_ours() ? Found::Ours : Found::Foreign;
}

Found probe() {
    Found found = Found::Unknown;
    transact("read its database", [&found] { found = look_inside(); });
    return found;
}

constexpr int64 ignore_new_work_for = 10 * 1000;
constexpr int64 park_after = 60 * int64(USECS_PER_SEC);

// From now on other processes find this one.
void announce() { my_db().scheduler.procno.store(pg::my_procno()); }

// Leaves for good. The launcher starts another scheduler if the database needs one.
[[noreturn]] void leave() {
    my_db().scheduler.left.store(true);
    proc_exit(0);
}

}  // namespace

bool should_stay() {
    memory::Database &d = my_db();
    return config::enabled && d.used && d.service.wanted.load() && d.service.blocked_by.load() == 0;
}

void give_up(const char *what) {
    // The extension is being created or dropped: the next scheduler checks again at once. Otherwise the launcher waits
    // a little before it starts one.
    if (!should_stay() || my_db().service.identity_changed.load() != 0) leave();
    ereport(FATAL, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("pgqueue scheduler could not %s", what));
}

namespace {

void say_held() {
    ereport(LOG,
            errmsg("pgqueue holds the tasks of database \"%s\", which was restored or copied",
                   get_database_name(MyDatabaseId)),
            errhint("Run SELECT pgqueue.adopt() there to start them."));
}

// Checks the identity of the data. Leaves if its tasks must not run here.
void check_identity() {
    Found found = probe();
    if (found == Found::Foreign && config::adopt_on_start) {
        transact("adopt its database", [] { store::adopt(); });
        found = probe();
    }
    if (found == Found::Unknown) give_up("ask whose database it serves");
    memory::Database &d = my_db();
    d.service.no_extension.store(found == Found::No);
    d.service.held.store(found == Found::Foreign);
    if (found == Found::Ours) return;
    d.service.wanted.store(false);
    d.service.needs_first_process.store(false);
    d.service.state.store(DbState::Unserved);
    pg_memory_barrier();
    // The extension was created during the check: the next scheduler finds it.
    if (d.service.identity_changed.load() != 0) d.service.wanted.store(true);
    if (found == Found::Foreign) transact("name its database", [] { say_held(); });
    if (found == Found::OtherVersion) transact("check the version", [] { store::check_version(); });
    dismiss_workers();
    leave();
}

// Takes over the database: checks the identity, and rebuilds memory from the rows.
void take_over() {
    memory::Database &d = my_db();
    d.scheduler.parked.store(false);
    // The former scheduler may have ended with leases that it was about to end.
    dispatch::lower_lease_bound(self.db, 1);
    bool changed = d.service.identity_changed.exchange(0) != 0;
    check_identity();
    transact("read which segment is current", [&d] { d.current_segment.store(store::ring_current()); });
    if (!changed && memory::state_of(self.db) == DbState::Ready) return;
    d.tickers.on.store(false);
    rebuild();
}

// Returns whether the schedulers of all databases need at most an eighth of the process slots. Any role may take the
// others by parallel queries, and a scheduler that has left would not come back before these end.
bool are_schedulers_few() {
    int n = 0;
    for (SlotNo db = 0; db < memory::max_databases; db++)
        n += memory::database(db).used && memory::database(db).service.wanted.load();
    return n * 8 <= max_worker_processes;
}

// Returns whether to park: there is nothing to do for a while, and the process slot is worth more than a sleeping
// scheduler. Memory stays as it is. The launcher starts another scheduler at the deadline, or when a commit needs one.
// *park_at: when it will have been quiet for long enough; never: it is not quiet.
bool may_park(const pg::Moment &now, pg::Deadline next, pg::Deadline *park_at) {
    if (live_workers() == 0 && next > now.in(USECS_PER_SEC) && is_needed_elsewhere()) return true;
    if (live_workers() > 0 || next < now.in(park_after) || are_schedulers_few()) {
        *park_at = never;
        return false;
    }
    if (*park_at == never) *park_at = now.in(park_after);
    return park_at->passed(now);
}

// Returns whether there was new work, or another wake-up, since the turn began.
bool is_called() {
    bool work = MyLatch->is_set;
    memory::each_namespace(self.db, [&work](SlotNo ns) { work = work || dispatch::has_handed_over(ns); });
    return work;
}

// Leaves until a deadline. Once no process finds this one any more, a process that needs a scheduler clears `parked`
// and wakes the launcher. A process that found this one before has set our latch or left a page. Then this one stays,
// and checks everything again.
void park(pg::Deadline next) {
    memory::Database &d = my_db();
    PGQUEUE_TESTPOINT("scheduler-parks");
    d.scheduler.wake_at.store(next.at);
    d.scheduler.parked.store(true);
    d.scheduler.procno.store(-1);
    pg_memory_barrier();
    if (!is_called()) leave();
    ResetLatch(MyLatch);
    d.scheduler.parked.store(false);
    announce();
    pg_memory_barrier();
}

// Reads again what found no memory. That takes at most a quarter of the time. If the reason lasts, a full disk for
// instance, all of it is lost again. Then it tries less and less often, until a quarter of the pool has become free
// meanwhile.
pg::Deadline read_lost(const pg::Moment &now) {
    constexpr int64 least = 100 * 1000, most = 60 * int64(USECS_PER_SEC);
    static constinit pg::Deadline again{};
    static constinit int64 pause = least;
    static constinit uint32 free_then = 0;
    if (!again.passed(now) && memory::free_pages() < free_then + memory::low_water()) return again;
    // Tables that a session has locked cannot be read now. What memory has continues.
    bool readable = false;
    if (!transact("see whether its tasks can be read", [&readable] { readable = store::is_readable(); }) || !readable) {
        again = now.in(USECS_PER_SEC);
        free_then = memory::free_pages();
        return again;
    }
    rebuild();
    int64 spent = pg::monotonic_now() - now.monotonic;
    pause = my_db().reading.lost.load() != memory::Lost::Nothing ? Min(pause * 2, most) : least;
    free_then = memory::free_pages();
    again = now.in(spent + Max(pause, 3 * spent));
    return never;
}

// Memory is short, and no list can be written to the spill file: what was handed over is filed into the pages that are
// left for others.
constinit bool cannot_spill = false;

pg::Deadline file_handed_over(const pg::Moment &now) {
    const auto leave = cannot_spill ? dispatch::Leave::Nothing : dispatch::Leave::Some;
    return dispatch::drain_inboxes(self.db, leave) ? never : now.in(0);
}

// Arranges lists that are long or have many priorities: a part of it in each turn.
pg::Deadline arrange_lists(const pg::Moment &now) {
    constexpr int64 patience = 20 * 1000;        // until there is memory
    constexpr int64 rest_if_short = 100 * 1000;  // for lists in the file that could not be read yet
    int steps = dispatch::take_lists_apart(self.db);
    const bool all_read = dispatch::refill_lists(self.db);
    const bool is_short = memory::free_pages() < memory::low_water();
    cannot_spill = is_short && dispatch::spill_pages(self.db, memory::low_water()) == 0 && !memory::room_for_many();
    if (!all_read) return now.in(0);
    if (my_db().ready.taken_apart.load()) return now.in(steps > 0 ? 0 : patience);
    return my_db().spill.in_file > 0 && memory::free_pages() <= memory::low_water() ? now.in(rest_if_short) : never;
}

// Does everything there is to do now. Returns when to check again.
pg::Deadline turn() {
    memory::Database &d = my_db();
    // Until the next deadline is known, every new due time wakes us, because a worker may file it meanwhile.
    d.scheduler.wake_at.store(never.at);
    pg_memory_barrier();
    pg::Moment now = pg::this_moment();
    if (uint32 seen = d.service.identity_changed.load(); seen != 0) {
        check_identity();
        rebuild();
        // If there was another change meanwhile, the next turn checks again. Until then nothing is handed out.
        d.service.identity_changed.replace(seen, 0);
        ConditionVariableBroadcast(&memory::map.shared->loaded[self.db]);
    }
    if (has_late_deltas()) apply_late_deltas();
    pg::Deadline next = Min(follow_topics(now), follow_configuration(now));
    next = Min(next, follow_statistics(now));
    next = Min(next, recover_workers(now));
    next = Min(next, file_handed_over(now));
    next = Min(next, Min(move_due(now), dispatch::end_throttles(self.db, now)));
    next = Min(next, fire_tickers(now));
    next = Min(next, expire(now));
    next = Min(next, end_leases(now));
    next = Min(next, arrange_lists(now));
    dispatch::wake_ready_waiters(self.db);
    next = Min(next, notify_listeners(now));
    bool room = d.reading.lost.load() != memory::Lost::Nothing && memory::free_pages() > memory::low_water() / 2;
    if (room) next = Min(next, read_lost(now));
    next = Min(next, refile(now));
    next = Min(next, Min(read_groups(now), read_missed(now)));
    next = Min(next, dispatch::sweep_groups(self.db, now));
    next = Min(next, free_places(now));
    next = Min(next, settle_dependencies(now));
    next = Min(next, resume_paused(now));
    next = Min(next, follow_roles(now));
    next = Min(next, reconcile(now));
    // Before the workers, because it is short, and gets its turn when a slot becomes free.
    next = Min(next, housekeeping(now));
    return Min(next, manage_workers(now));
}

// Sleeps until `next`. ignore_new_work: the last wake-up could not start a worker, so wake-ups for new work are ignored
// until `next`, which is soon then. Returns whether new work woke it.
bool sleep_until(pg::Deadline next, bool ignore_new_work) {
    memory::Database &d = my_db();
    d.scheduler.wake_at.store(next.at);
    d.scheduler.sleeping.store(!ignore_new_work);
    pg_memory_barrier();
    // New work that came before the flag was set has woken no process.
    bool work = !ignore_new_work && is_called();
    int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (next == never && !work ? 0 : WL_TIMEOUT);
    long ms = work ? 0 : pg::ms_until(next);
    pgstat_report_activity(STATE_IDLE, nullptr);
    pgstat_report_stat(true);
    (void)WaitLatch(MyLatch, events, ms, pg::wait_event("PgqueueScheduler"));
    ResetLatch(MyLatch);
    return !d.scheduler.sleeping.exchange(false) && !ignore_new_work;
}

}  // namespace

[[noreturn]] void run() {
    self.lasting = AllocSetContextCreate(TopMemoryContext, "pgqueue scheduler", ALLOCSET_DEFAULT_SIZES);
    self.scratch = AllocSetContextCreate(TopMemoryContext, "pgqueue scheduler turn", ALLOCSET_DEFAULT_SIZES);
    set_up_session("pgqueue scheduler");
    MemoryContextSwitchTo(self.scratch);
    take_over();
    pg::Deadline park_at = never;
    bool new_work = false;
    while (should_stay()) {
        CHECK_FOR_INTERRUPTS();
        reload_if_asked();
        AcceptInvalidationMessages();
        busy = true;
        pg::Deadline next = turn();
        busy = false;
        memory::end_use();
        MemoryContextReset(self.scratch);
        pg::Moment now = pg::this_moment();
        bool parks = may_park(now, next, &park_at);
        if (parks || should_yield(now)) {
            park(parks ? next : now.in(USECS_PER_SEC));
            continue;
        }
        bool ignore_new_work = new_work && !started_workers();
        next = Min(next, park_at);
        new_work = sleep_until(ignore_new_work ? Min(next, now.in(ignore_new_work_for)) : next, ignore_new_work);
    }
    my_db().service.state.store(DbState::Unserved);
    leave();
}

// Claims the entry of the database for this process. Returns false if another scheduler has it, or if a session needs
// the database alone: such a session only waits for a scheduler whose pid it has seen.
bool begin(SlotNo db) {
    if (!memory::database(db).scheduler.pid.replace(0, MyProcPid)) return false;
    self.db = db;
    pg_memory_barrier();
    if (should_stay()) return true;
    my_db().scheduler.left.store(true);
    return false;
}

void exit_callback(int code, Datum arg) { at_exit(code, arg); }

}  // namespace pgqueue::worker::scheduler

// Entry of a scheduler; the argument is the number of its database's entry.
extern "C" PGDLLEXPORT void pgqueue_scheduler_main(Datum arg);

void pgqueue_scheduler_main(Datum arg) {
    using namespace pgqueue;
    using namespace pgqueue::worker;
    SlotNo db = DatumGetInt32(arg);
    begin_process(scheduler::exit_callback, Datum(0));
    if (!memory::database(db).used || !scheduler::begin(db)) proc_exit(0);
    BackgroundWorkerInitializeConnectionByOid(memory::database(db).oid, InvalidOid, 0);
    scheduler::announce();
    scheduler::run();
}
