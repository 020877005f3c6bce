// The tasks that run in this process, and the ends that they request for themselves.
#pragma once
#include "task/requested_end.hpp"

namespace pgqueue::task {

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
