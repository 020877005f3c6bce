// What follows when a task has failed for good: tasks that call functions of phase failed, and a notification. See
// docs/internals/handlers.md.
#pragma once
#include "core/handler_step.hpp"
#include "task/announce.hpp"

namespace pgqueue::task {

// Makes a task for each function of phase failed that is registered for the task's type, and has listeners of channel
// pgqueue_failed:<namespace> notified after the commit. queue: where the task failed. Does nothing for a task that was
// made here itself.
void tell_of_failure(const QueueRef &queue, const store::TaskRow &row, const End &end);

// What a task that was made here is to do.
struct FailedCall {
    HandlerStep step;
    text *error;  // nullptr: NULL
};
// Reads it from its row, which was read with its body. Raises 42704 if the function is not registered any more.
FailedCall failed_call(const store::QueueInfo &queue, const store::TaskRow &row);

}  // namespace pgqueue::task
