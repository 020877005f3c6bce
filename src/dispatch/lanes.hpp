// The lists of ready tasks and which of them may be taken from now. Inside dispatch/ only; everything here is under the
// namespace's lock.
#pragma once
#include "memory/page_list.hpp"

namespace pgqueue::dispatch {

// A lane is active while it has tasks and its queue is neither paused nor without room.
void activate_locked(SlotNo lane);
void deactivate_locked(SlotNo lane);
// The number of tasks in a lane has changed.
void change_count_locked(SlotNo lane, int64 by);
// Empties the lists of a queue. The scheduler only, which is at work on none of them.
void empty_lists_locked(const Queue &queue);

}  // namespace pgqueue::dispatch
