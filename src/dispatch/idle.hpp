// Lanes, sources and roles of queues that live on become free when nobody needs them and few places are left. The
// scheduler of the database takes these steps, each under the registry lock. A role with workers keeps its lanes: they
// give tasks back there.
//   idle       no task of it is listed, in a group or in the due heap; no worker has its role
//   suspected  `drop` is set. It is still found; who finds it takes the suspicion off
//   unlinked   (lanes, sources) nobody had its number since before the suspicion, and it is idle still: it is out of
//   its chain free       nobody walks along the chain since before
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Takes one step with everything that is idle in a database. The scheduler only. Allocates. Returns whether there is
// another step to come.
bool free_idle(SlotNo db);
// Frees the lanes that were unlinked up to a drop; registry lock held. Returns whether some are left.
bool free_unlinked_lanes(SlotNo db, uint64 until);

}  // namespace pgqueue::dispatch
