// Cancels tasks that run in the server: signals the worker's process and passes it the attempt and the reason given to
// cancel_task.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// A request to cancel one attempt of a task.
struct Cancel {
    int64 id;
    int32 attempt;
    bool force;          // terminate the process
    const char *reason;  // nullptr none
};

// Returns a copy of the reason in TopTransactionContext, cut to the bytes that a worker's slot can hold. Returns
// nullptr for nullptr.
const char *kept_reason(const char *reason);
// Writes the request to the worker's slot and signals its process. If the attempt has ended since, another worker gets
// it: the one that has the task now, or one that is idle. Called at commit: raises nothing, and waits only for
// the workers lock, which it takes.
void cancel_worker(SlotNo worker, const Cancel &cancel);
// Cancels all running tasks of a queue. Called at commit, after the queue was dropped: a worker that starts a task
// later sees the drop. Takes the workers lock.
void cancel_running(SlotNo queue);
// Returns the reason with which this attempt, or the one before it, was cancelled, in the current memory context.
// nullptr: it has no reason, or was not cancelled. Takes the workers lock.
char *cancel_reason(const WorkerSlot &worker, int64 id, int32 attempt);

}  // namespace pgqueue::signal
