// Frees lanes, sources and roles of existing queues that are not needed, when somebody waits for a place. The scheduler
// of the database takes these steps, each under the registry lock.
//   idle       a lane: none of its tasks is listed, in a group or in the due heap, and no worker holds one of its queue
//              a source or a role: no lane names it, and the role has no workers
//   suspected  (lanes, roles) `drop` is set; a process that finds the entry clears `drop`
//   unlinked   (lanes, sources) it is out of its chain: a lane that is still idle when no process has its number from
//              before the suspicion, a source that is idle
//   free       no process has its number, or walks along the chain, from before the last of these steps
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Takes one step for everything idle in a database. Returns whether another step is to come. Allocates memory. Takes
// the registry lock and the locks of the namespaces. The scheduler only.
bool free_idle(SlotNo db);
// Frees the lanes that were unlinked up to the drop `until`. Returns whether some are left. The caller holds the
// registry lock.
bool free_unlinked_lanes(SlotNo db, uint64 until);

}  // namespace pgqueue::dispatch
