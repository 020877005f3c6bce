// The scheduler of one database, with one duty per file. It runs no user SQL, never waits for a row, and commits
// without waiting for the disk. Each duty gets the moment at which the turn began, and returns the deadline of its next
// run (`never`: only when woken). The process remembers deadlines only. Times of the wall clock are in the rows or in
// shared memory, and are compared with the moment of each turn.
#pragma once
#include "pg/clock.hpp"
#include "store/rows.hpp"
#include "worker/processes.hpp"

namespace pgqueue::worker::scheduler {

// The state of this scheduler.
struct Self {
    SlotNo db;
    MemoryContext scratch;  // reset each turn
    MemoryContext lasting;  // lives as long as the process
};
extern Self self;

// Returns the entry of this scheduler's database.
inline memory::Database &my_db() { return memory::database(self.db); }

// Runs fn(arg) in a transaction, which skips locks or waits for them only briefly (pg/limited.hpp). Returns whether it
// was committed. Logs a failure and shows it in view health. what: completes "could not ...".
bool in_transaction(const char *what, void (*fn)(void *), void *arg);
// The same for a callable object.
template <typename F>
bool transact(const char *what, F &&fn) {
    return in_transaction(
        what, [](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}

// Returns how long to wait after a failed transaction, in microseconds: `usual`, or less if it met a lock.
int64 wait_after_failure(int64 usual);

// Calls f(i) for n things, each in a transaction. After 8 failures it does not try the others, which probably would
// fail for the same reason, and begins with them the next time. Calls left(i) for each thing that was not done. Returns
// how many these are.
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
// The same, with all things in one transaction. If that fails, tries them one by one, as a single one may be the
// reason.
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

// Returns whether this process has a reason to stay.
bool should_stay();

// Ends this process because it cannot work after this failure. The launcher starts another one. what: completes "could
// not ...".
[[noreturn]] void give_up(const char *what);

// rebuild.cpp: rebuilds shared memory from the rows, by one scan under one snapshot. apply_late_deltas() applies
// changes of counts that committing transactions handed over meanwhile.
void rebuild();
void apply_late_deltas();
bool has_late_deltas();

// rows_without_holder.cpp: gives a retained row a holder in shared memory, or an entry for what the scheduler owes it
// (in the order of `order`). Returns false if no entry is free.
bool watch_retained(const store::TaskRow &row, SlotNo queue, int64 order);

// reconcile.cpp: searches for rows that shared memory lacks, and for entries without a row. There should be none.
pg::Deadline reconcile(const pg::Moment &now);

// groups.cpp: reads tasks of groups that were left out of shared memory.
pg::Deadline read_groups(const pg::Moment &now);
// missed.cpp: files tasks that large transactions did not hand over.
pg::Deadline read_missed(const pg::Moment &now);
// Returns whether there are such tasks.
bool has_missed();

// refile.cpp: moves ready tasks that are in the wrong lists.
pg::Deadline refile(const pg::Moment &now);
bool is_refiling();

// dependencies.cpp: settles tasks that wait for others.
pg::Deadline settle_dependencies(const pg::Moment &now);
bool owes_settling();  // only this process knows of tasks to be checked
bool owes_hints();     // some of these may have lost their hint, which no walk over the tables of dependencies finds

// configure.cpp: the copies of the configuration, and changes of roles and handlers.
bool load_configuration();  // raises inside a transaction, else logs and returns false
// Reads the changed configuration again. Retries after a second what it could not read.
pg::Deadline follow_configuration(const pg::Moment &now);
// Resumes queues whose pause has ended.
pg::Deadline resume_paused(const pg::Moment &now);
// Updates stored names of roles, and files held tasks whose role or handler has changed.
pg::Deadline follow_roles(const pg::Moment &now);

// add_saved_statistics.cpp: adds what was saved to the statistics of new entries.
pg::Deadline follow_statistics(const pg::Moment &now);

// topics.cpp: applies settings of the extension pg_background_queue to its queues.
pg::Deadline follow_topics(const pg::Moment &now);

// due.cpp: tasks that have become due, and ready tasks that have expired.
pg::Deadline move_due(const pg::Moment &now);
pg::Deadline expire(const pg::Moment &now);
bool owes_expiry();  // only this process knows of tasks to be ended

// tickers.cpp: due slots of tickers.
pg::Deadline fire_tickers(const pg::Moment &now);

// leases.cpp: ends leases of outside workers.
pg::Deadline end_leases(const pg::Moment &now);

// notify_listeners.cpp: sends a NOTIFY for each queue that has got ready tasks for outside workers.
pg::Deadline notify_listeners(const pg::Moment &now);

// ended_workers.cpp: tasks of ended workers, and claimed tasks that a busy worker has not begun.
pg::Deadline recover_workers(const pg::Moment &now);
void charge_executed();  // before the rebuild: tasks that were executing when the server crashed
void owe_charges();      // after the rebuild: those that could not be charged yet

// staff.cpp: starts and retires workers.
pg::Deadline manage_workers(const pg::Moment &now);
// Returns whether this scheduler leaves because schedulers hold all process slots and none is left for a worker.
bool should_yield(const pg::Moment &now);
bool is_needed_elsewhere();  // another database has no process slot at all
bool started_workers();      // in the last call of manage_workers()
void dismiss_workers();      // asks all to leave after their tasks
// Returns the number of this database's workers, including those that are starting or have just ended.
int live_workers();
// Frees the slot of a worker that has ended or did not start.
void note_worker_gone(SlotNo worker);

// free_places.cpp: frees entries of objects that do not exist any more.
pg::Deadline free_places(const pg::Moment &now);

// housekeeping.cpp: decides when the housekeeper runs.
pg::Deadline housekeeping(const pg::Moment &now);
bool housekeeper_waits();  // the last call found no process slot for it

}  // namespace pgqueue::worker::scheduler
