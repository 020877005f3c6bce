// The line of the log for an attempt of a task that has ended in this worker.
#pragma once
#include "worker/worker.hpp"

namespace pgqueue::worker::runner {

// event: completed, snoozed, cancelled or failed. error: nullptr none. ran: microseconds. Writes what pgqueue.log_tasks
// asks for, at most 100 lines a second.
void log_end_of_task(const Claimed &c, const char *event, const pg::ErrorReport *error, int64 ran);

}  // namespace pgqueue::worker::runner
