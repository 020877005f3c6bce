// Ends of an attempt on request: failed, put off, cancelled. The request comes from the worker that holds the task, or
// from the task itself while it runs.
#pragma once
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "task/lifecycle.hpp"

namespace pgqueue::task {

// A requested end of an attempt.
struct Ending {
    enum class What { None, Failed, Snoozed, Cancelled } what;
    const char *text;  // error or reason, nullptr: none was given
    int64 delay;       // microseconds; Failed: -1 by the queue's back-off
    bool final;        // Failed: no retry
    Jsonb *result;     // Failed
};

// Writes the requested end to the row and to the record of its attempt, for end_attempt(). queue nullptr: it was
// deleted. now: the wall clock.
void apply(const Ending &ending, const store::QueueInfo *queue, store::TaskRow *row, End *end, TimestampTz now);

// A task that runs in this process: in a worker, or in run_task of a session. It lives on the stack of the function
// that runs it.
struct Wish;
struct OwnRun {
    int64 id;
    Oid role;              // as which it runs
    MemoryContext memory;  // of the requests; lives as long as the run
    Ending decided;        // the requested end, after decide()
    Wish *wishes;          // requested ends, newest first
    OwnRun *outer;         // the run that called run_task
};
// Begins a run in this process; runs nest.
void begin_run(OwnRun *run);
// Ends the innermost run. Must be called after an error too.
void end_run(OwnRun *run);
// Returns the innermost run; nullptr: none.
OwnRun *own_run();
// Returns whether this task runs in this process, in the innermost run or an outer one.
bool runs_here(int64 id);

// Requests an end for the run. The last request counts, and an aborted (sub)transaction discards its requests. Returns
// the status that the task will get. Raises 42704 if the task's row is gone.
Status ask(OwnRun *run, const Ending &ending);
// Makes the last request the end of the run. Called in the run's transaction after its work. Raises an error if the end
// is a failure, so that its work is rolled back.
void decide(OwnRun *run);

// Registers the callbacks that follow aborted and committed (sub)transactions. Called once per process.
void register_run_callbacks();

}  // namespace pgqueue::task
