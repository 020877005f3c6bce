// Since when tasks wait, for view health.
#pragma once
#include "dispatch/look.hpp"

namespace pgqueue::api {

// Since when the ready task of a queue has waited that has waited longest, of all or of those for a role
// (dispatch::every_role); 0: none does.
TimestampTz longest_wait(memory::SlotNo queue, memory::SlotNo role);
// The same for all queues of a namespace that are not paused.
TimestampTz longest_wait_in(memory::SlotNo ns, memory::SlotNo role);
// The same for a role in all queues of its database.
TimestampTz longest_wait_of(memory::SlotNo role);

}  // namespace pgqueue::api
