// The scheduler of one database, one duty per file. It runs no user SQL, never waits for a row, and what it writes commits without waiting
// for the disk. Each duty returns when it wants to run again at the latest (`never`: only when woken).
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

inline dispatch::Database &my_db() { return dispatch::database(self.db); }

// One transaction of the scheduler; a failure is logged and told.
bool in_transaction(const char *what, void (*fn)(void *), void *arg);
template <typename F>
bool transact(const char *what, F &&fn) {
    return in_transaction(what, [](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}

// rebuild.cpp: memory from rows, by one scan under one snapshot.
void rebuild();
void apply_late_deltas();
bool has_late_deltas();

// restore.cpp: leases of an earlier life of the server.
void restore_lease(const store::TaskRow &row, SlotNo queue);
void check_restored();  // after the scan

// dependencies.cpp: tasks that wait for others; returns when to look again.
TimestampTz settle_dependencies(TimestampTz now);

// configure.cpp: copies of the configuration, and changes of roles and handlers.
void load_configuration();
TimestampTz resume_paused(TimestampTz now);
TimestampTz follow_roles(TimestampTz now);

// topics.cpp: the queues of extension pg_background_queue follow its settings.
TimestampTz follow_topics(TimestampTz now);

// due.cpp: tasks whose time has come; ready tasks that are too old.
TimestampTz move_due(TimestampTz now);
TimestampTz expire(TimestampTz now);

// tickers.cpp: slots of tickers.
TimestampTz fire_tickers(const pg::Moment &now);

// leases.cpp: outside workers.
TimestampTz end_leases(const pg::Moment &now);
void wake_waiters();
TimestampTz notify_listeners(TimestampTz now);

// recover.cpp: what ended workers held; what a slow worker has not begun.
TimestampTz recover_workers(TimestampTz now);
void charge_executed();  // before the rebuild: what ran when the server crashed

// staff.cpp: starts and retires workers.
TimestampTz staff(TimestampTz now);
bool should_yield(TimestampTz now);
bool is_needed_elsewhere();  // another database has no process slot at all
bool started_workers();  // in the last call of staff()
void dismiss_workers();  // asks all to leave; what they run they may end
int live_workers();
void note_worker_gone(SlotNo worker);

// housekeeping.cpp: when the housekeeper runs.
TimestampTz housekeeping(TimestampTz now);

}  // namespace pgqueue::worker::scheduler
