// How long tasks have waited, for view health and for statistics.
#pragma once
#include "dispatch/look.hpp"

namespace pgqueue::api {

// Returns since when the longest waiting ready task of a queue has waited; 0: no task waits. role: the role whose tasks
// count, or dispatch::every_role.
TimestampTz longest_wait(memory::SlotNo queue, memory::SlotNo role);
// The same for all queues of a namespace that are not paused.
TimestampTz longest_wait_in(memory::SlotNo ns, memory::SlotNo role);
// The same for the tasks of a role in all queues of its database that are not paused.
TimestampTz longest_wait_of(memory::SlotNo role);

// Returns for how many seconds the first task of the queue's ready lists has waited; -1: they are empty. look: of the
// queue.
double oldest_ready_seconds(memory::SlotNo queue, const dispatch::WaitingLook &look);

}  // namespace pgqueue::api
