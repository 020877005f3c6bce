// The ends of an attempt that are asked for: failed, put off, cancelled. Whoever holds the task asks, or the task
// itself while it runs.
#pragma once
#include "task/lifecycle.hpp"

namespace pgqueue::task {

struct Ending {
    enum class What { None, Failed, Snoozed, Cancelled } what;
    const char *text;  // error or reason, nullptr: none was given
    int64 delay;       // microseconds; Failed: -1 by the queue's back-off
    bool final;        // Failed: no retry
    Jsonb *result;     // Failed
};

// Puts it into the row and the record of its attempt, for end_attempt().
void apply(const Ending &ending, store::TaskRow *row, End *end, TimestampTz now);

// A task that runs in this process: in a worker, or in run_task of a session. On the stack of who runs it.
struct Wish;
struct OwnRun {
    int64 id;
    Oid role;              // as which it runs
    MemoryContext memory;  // of the wishes; lives as long as the run
    Ending decided;        // what it has become by decide()
    Wish *wishes;          // the newest first
    OwnRun *outer;         // which called run_task
};
void begin_run(OwnRun *run);
// Also after an error.
void end_run(OwnRun *run);
// The innermost; nullptr: none.
OwnRun *own_run();
// Is it one of those that run here?
bool runs_here(int64 id);

// The run wants to end so: when what it does now commits, and as the last of its wishes. Returns the status that its
// task will have.
Status ask(OwnRun *run, const Ending &ending);
// When all is done, in the transaction of the run: its wish becomes its end. Raises when that is a failure, so that
// nothing of its work stays.
void decide(OwnRun *run);

void register_run_callbacks();

}  // namespace pgqueue::task
