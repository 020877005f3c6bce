// The line of the log for an attempt of a task that has ended in this worker.
#pragma once
#include "worker/worker.hpp"

namespace pgqueue::worker::runner {

// What a task writes into the log from now on (INFO, NOTICE, WARNING) names it in its CONTEXT. Once, when a worker
// begins; then name_in_log says which task runs, nullptr: none.
void install_task_log();
void name_in_log(const Claimed *c);

// event: completed, snoozed, cancelled or failed. error: nullptr none. ran: microseconds. Writes what pgqueue.log_tasks
// asks for, at most 100 lines a second.
void log_end_of_task(const Claimed &c, const char *event, const pg::ErrorReport *error, int64 ran);

}  // namespace pgqueue::worker::runner
