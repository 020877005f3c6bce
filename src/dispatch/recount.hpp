// Whether the lists say how many tasks they have, for the look that finds what was forgotten
// (docs/internals/dispatch.md).
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Counts the tasks in the pages of every list of a database, and puts right each list, lane and due bucket whose count
// or bounds differ. A list with pages in the spill file is left out. Returns how many were wrong. Takes the lock of
// each namespace, and the due lock. The scheduler only.
int recount_lists(SlotNo db);

#ifdef PGQUEUE_TESTPOINTS
// For tests: the lists of a lane say that nothing is in them.
void miscount(SlotNo lane);
#endif

}  // namespace pgqueue::dispatch
