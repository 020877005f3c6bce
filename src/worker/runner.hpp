// A worker process. It belongs to a database and a role, and claims and runs tasks one after another.
#pragma once
#include "pg/error.hpp"
#include "store/rows.hpp"
#include "worker/processes.hpp"

namespace pgqueue::worker::runner {

// The state of this worker.
struct Self {
    SlotNo slot;
    MemoryContext batch;  // reset for each batch of claimed tasks
    MemoryContext task;   // reset for each task
    char name[64];        // the worker's name in its tasks
    char role[NAMEDATALEN];
    double mean_run_us;  // moving average of run times
};
extern Self self;

// Returns the slot of this worker.
inline memory::WorkerSlot &my_slot() { return memory::map.shared->workers[self.slot]; }

// A claimed task, in the memory of its batch.
struct Claimed {
    int hold;
    int64 run_limit;  // microseconds, 0 none
    store::TaskRow row;
};

// Claims the tasks of the slot's holds in one transaction. `out` has room for them. Returns how many may run. Frees the
// holds of the others, and files them where they belong.
int claim(Claimed *out);

// Runs one claimed task and writes its end. Does nothing if the scheduler has taken it back.
void run(Claimed *claimed);

// Runs the functions of a task without command (typed.cpp) inside its transaction. *result is allocated in `keep`.
// Returns false if the handler now belongs to another role than this worker's. Raises PQ104 if there is no handler.
bool run_typed(const store::TaskRow &row, MemoryContext keep, Jsonb **result);

// own_statements.cpp: a transaction of the worker itself, and its statements inside a task's transaction. Whatever
// settings role and task have made, these may write, wait for locks without a limit, and fail without ending the
// process.
pg::Outcome run_own_transaction_raw(pg::Call fn, void *arg, MemoryContext keep);
void run_own_statements_raw(pg::Call fn, void *arg);

// The same for callable objects.
template <typename F>
pg::Outcome run_own_transaction(F &&fn, MemoryContext keep) {
    return run_own_transaction_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn, keep);
}
template <typename F>
void run_own_statements(F &&fn) {
    run_own_statements_raw([](void *f) { (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}

// Sleeps before a retry, from 10 ms on and twice as long after each failure, at most a second. failures: how many there
// were before. Only the end of the process interrupts it; a cancel is ignored, because the task that it meant has
// ended.
void wait_before_retry(int failures);

// Why the running command was interrupted.
enum class Stop { None, Cancelled, RunLimit, Expired };
// Returns why the running attempt was interrupted.
Stop stop_reason();
// The running attempt, and when it has to stop: a run limit in microseconds after its begin, and a calendar time; 0
// none.
struct Attempt {
    int64 id;
    int32 number;
    pg::Moment began;
    int64 run_limit;
    TimestampTz dies;
};
// Begins to watch an attempt: from now on a cancel, its run limit and its dies_at interrupt the command.
void arm(const Attempt &attempt);
// Ends that, and forgets an interrupt that came too late.
void disarm();
// Installs the signal handlers and the timer of a worker. FATAL if the timer cannot be created.
void install_interrupts();
// Returns why this process is ending, by the sender of the signal.
memory::EndedBy ended_by();

}  // namespace pgqueue::worker::runner
