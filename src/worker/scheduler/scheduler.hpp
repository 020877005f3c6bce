// The scheduler of one database, one duty per file. It runs no user SQL, never waits for a row, and what it writes
// commits without waiting for the disk. Each duty gets the moment at which the turn began and returns when it wants to
// run again at the latest (`never`: only when woken). It remembers deadlines, no times of the wall clock: those are in
// the rows, or in shared memory, and are looked at with the moment of each turn.
#pragma once
#include "pg/clock.hpp"
#include "store/rows.hpp"
#include "worker/processes.hpp"

namespace pgqueue::worker::scheduler {

struct Self {
    SlotNo db;
    MemoryContext scratch;  // reset each turn
    MemoryContext lasting;  // lives as long as the process
};
extern Self self;

inline memory::Database &my_db() { return memory::database(self.db); }

// One transaction of the scheduler, which waits for nobody (pg/limited.hpp); a failure is logged and told.
bool in_transaction(const char *what, void (*fn)(void *), void *arg);
template <typename F>
bool transact(const char *what, F &&fn) {
    return in_transaction(
        what, [](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}

// How long to wait after a transaction that failed: less when it met a lock, which somebody gives back at any moment.
int64 wait_after_failure(int64 usual);

// Does f(i) for n things, each in a transaction of its own. After some failures the others are not tried: the reason
// is not theirs, and they come first the next time. left(i) is told of each that was not done. Returns how many
// failed.
template <typename F, typename L>
int transact_one_by_one(const char *what, int n, F &&f, L &&left) {
    constexpr int most_failures = 8;
    static constinit int first = 0;
    int failures = 0, begin = n > 0 ? first % n : 0;
    for (int k = 0; k < n; k++) {
        int i = (begin + k) % n;
        bool done = failures < most_failures && transact(what, [&] { f(i); });
        if (done) continue;
        if (++failures == most_failures) first = i + 1;
        left(i);
    }
    return failures;
}
// The same, all of them in one transaction unless that fails, as one of them may be the reason.
template <typename F, typename L>
int transact_each(const char *what, int n, F &&f, L &&left) {
    if (n == 0 || transact(what, [&] {
            for (int i = 0; i < n; i++) f(i);
        }))
        return 0;
    if (n > 1) return transact_one_by_one(what, n, f, left);
    left(0);
    return 1;
}

// True while the process has a reason to stay.
bool should_stay();

// Ends this process: without the thing that it could not do it cannot work. The launcher starts another one.
[[noreturn]] void give_up(const char *what);

// rebuild.cpp: memory from rows, by one scan under one snapshot.
void rebuild();
void apply_late_deltas();
bool has_late_deltas();

// restore.cpp: a retained row has a holder in memory afterwards, or an entry of what it is owed (in this order). False:
// no entry is free.
bool watch_retained(const store::TaskRow &row, SlotNo queue, int64 order);

// reconcile.cpp: rows that nobody has in memory, and what memory has without a row; there should be none.
pg::Deadline reconcile(const pg::Moment &now);

// groups.cpp: tasks of groups that were left out of memory.
pg::Deadline read_groups(const pg::Moment &now);

// refile.cpp: ready tasks that are in the wrong lists.
pg::Deadline refile(const pg::Moment &now);
bool is_refiling();

// dependencies.cpp: tasks that wait for others.
pg::Deadline settle_dependencies(const pg::Moment &now);
bool owes_settling();  // only this process knows of tasks that are to be looked at

// configure.cpp: copies of the configuration, and changes of roles and handlers.
bool load_configuration();  // raises inside a transaction, else tells
// Reads the configuration again where that is asked for; what could not be read in one go, in a second.
pg::Deadline follow_configuration(const pg::Moment &now);
pg::Deadline resume_paused(const pg::Moment &now);
pg::Deadline follow_roles(const pg::Moment &now);

// topics.cpp: the queues of extension pg_background_queue follow its settings.
pg::Deadline follow_topics(const pg::Moment &now);

// due.cpp: tasks whose time has come; ready tasks that are too old.
pg::Deadline move_due(const pg::Moment &now);
pg::Deadline expire(const pg::Moment &now);
bool owes_expiry();  // only this process knows of tasks that are to be ended

// tickers.cpp: slots of tickers.
pg::Deadline fire_tickers(const pg::Moment &now);

// leases.cpp: outside workers.
pg::Deadline end_leases(const pg::Moment &now);
void wake_waiters();
pg::Deadline notify_listeners(const pg::Moment &now);

// recover.cpp: what ended workers held; what a slow worker has not begun.
pg::Deadline recover_workers(const pg::Moment &now);
void charge_executed();  // before the rebuild: what ran when the server crashed
void owe_charges();      // after it: what could not be charged yet

// staff.cpp: starts and retires workers.
pg::Deadline staff(const pg::Moment &now);
bool should_yield(const pg::Moment &now);
bool is_needed_elsewhere();  // another database has no process slot at all
bool started_workers();      // in the last call of staff()
void dismiss_workers();      // asks all to leave; what they run they may end
int live_workers();
void note_worker_gone(SlotNo worker);

// places.cpp: entries of what is gone become free.
pg::Deadline free_places(const pg::Moment &now);

// housekeeping.cpp: when the housekeeper runs.
pg::Deadline housekeeping(const pg::Moment &now);
bool housekeeper_waits();  // the last call found no process slot for it

}  // namespace pgqueue::worker::scheduler
