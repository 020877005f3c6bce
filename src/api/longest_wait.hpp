// How long tasks have waited, for view health and for statistics.
#pragma once
#include "dispatch/look.hpp"
#include "dispatch/survey.hpp"

namespace pgqueue::api {

// Returns since when the longest waiting ready task of a queue has waited; 0: no task waits. role: the role whose tasks
// count, or dispatch::every_role. id: gets that of the task, 0 if it is in the spill file. Reads some rows.
TimestampTz longest_wait(memory::SlotNo queue, memory::SlotNo role, int64 *id = nullptr);
// The same for queues of a survey: of namespace ns (-1: of all of them), without paused ones. Looks into those few
// whose tasks seem to have waited longest.
TimestampTz longest_wait_among(std::span<const dispatch::QueueSurvey> queues, memory::SlotNo ns, memory::SlotNo role);

// Returns for how many seconds the first task of the queue's ready lists has waited; -1: they are empty. look: of the
// queue.
double oldest_ready_seconds(memory::SlotNo queue, const dispatch::WaitingLook &look);

}  // namespace pgqueue::api
