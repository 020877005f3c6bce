// The lists of ready tasks of a queue and a role, and which of them are active. The caller of a function with _locked
// holds the namespace lock.
#pragma once
#include "memory/page_list.hpp"

namespace pgqueue::dispatch {

// Continues to take lists of many priorities apart (dispatch/priorities.hpp), at most 64 steps. Returns how many steps
// it took. Takes the namespace lock for each step. The scheduler only.
int take_lists_apart(SlotNo db);

// Returns the lane of a queue for outside workers; -1: none. Takes no lock.
SlotNo outside_lane(SlotNo queue);

// Updates which lanes of a queue are active, after a change of its limits or its pause.
void revise_queue_locked(SlotNo queue);
// Clears the mark that max_running of the namespace was reached, after a change of its settings. Each pop checks the
// settings anyway.
void revise_namespace_locked(SlotNo ns);
// Empties all ready lists of a database, for a rebuild. Takes the locks of the namespaces.
void clear_ready(SlotNo db);

// The functions below are only for dispatch/.

// Links a lane into its source, or unlinks it. A lane is active while it has tasks, is not held, and its queue is
// neither paused nor held back by a limit.
void activate_locked(SlotNo lane);
void deactivate_locked(SlotNo lane);
// Adds `by` to the number of tasks of a lane, and activates or deactivates the lane if needed.
void change_count_locked(SlotNo lane, int64 by);
// Frees the lists of a queue and their places in the spill file. The scheduler only, while none of them is `moving`.
void empty_lists_locked(const Queue &queue);

}  // namespace pgqueue::dispatch
