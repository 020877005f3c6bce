// One worker process: bound to a database and a role, it claims and runs tasks one after another.
#pragma once
#include "pg/error.hpp"
#include "store/rows.hpp"
#include "worker/processes.hpp"

namespace pgqueue::worker::runner {

struct Self {
    SlotNo slot;
    MemoryContext batch;  // reset for each batch of claimed tasks
    MemoryContext task;   // reset for each task
    char name[64];        // shown as worker of its tasks
    char role[NAMEDATALEN];
    double mean_run_us;  // moving average of run times
};
extern Self self;

inline memory::WorkerSlot &my_slot() { return memory::map.shared->workers[self.slot]; }

// A claimed task, in the batch's memory.
struct Claimed {
    int hold;
    int64 run_limit;  // microseconds, 0 none
    store::TaskRow row;
};

// Claims what the slot's holds name, in one transaction; returns how many may run. The others are released or put where
// they belong.
int claim(Claimed *out);

// Runs one claimed task and writes its end.
void run(Claimed *claimed);

// Runs the functions for a task without command (typed.cpp), inside its transaction; its result goes to `keep`. False:
// the handler belongs to another role than this worker's by now.
bool run_typed(const store::TaskRow &row, MemoryContext keep, Jsonb **result);

// own_statements.cpp: a transaction of the worker's own, and statements of its own inside a task's transaction.
// Whatever role and task have set, they may write, wait as long as they must, and fail without the end of the process.
pg::Outcome run_own_transaction_raw(pg::Call fn, void *arg, MemoryContext keep);
void run_own_statements_raw(pg::Call fn, void *arg);

template <typename F>
pg::Outcome run_own_transaction(F &&fn, MemoryContext keep) {
    return run_own_transaction_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}
template <typename F>
void run_own_statements(F &&fn) {
    run_own_statements_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}

// Sleeps before what has failed is tried again, a little longer after each failure. Only the end of the process
// interrupts it: a cancel was for the task, which is over.
void wait_before_retry(int failures);

// Why the command that runs now was interrupted.
enum class Stop { None, Cancelled, RunLimit, Expired };
Stop stop_reason();
// The attempt that runs now, and when it has to stop: so long after it began, and at a time of the calendar; 0 none.
struct Attempt {
    int64 id;
    int32 number;
    pg::Moment began;
    int64 run_limit;
    TimestampTz dies;
};
void arm(const Attempt &attempt);
void disarm();
void install_interrupts();
// Who asked for the end of this process.
memory::EndedBy ended_by();

}  // namespace pgqueue::worker::runner
