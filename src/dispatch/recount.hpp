// Corrects the counts of lists, for the check for forgotten tasks (docs/internals/dispatch.md).
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Counts the tasks in the pages of every list of a database, and corrects each list and lane whose count differs, with
// the bounds of such a list. A list with pages in the spill file is left out. Returns how many were wrong. Allocates
// memory. Takes the lock of each namespace, and the due lock. The scheduler only.
int recount_lists(SlotNo db);

#ifdef PGQUEUE_TESTPOINTS
// For tests: sets the counts of the lists of a lane to 0, and leaves the tasks. Takes the namespace lock.
void miscount(SlotNo lane);
#endif

}  // namespace pgqueue::dispatch
