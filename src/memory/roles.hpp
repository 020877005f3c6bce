// Entries of roles, of their lanes in queues, and of their sources in namespaces. As in registry.hpp, finding an entry
// is lock-free, and creating one takes the registry lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// Return the entry of a role, and begin the use of numbers (memory/users.hpp). find returns -1 if there is none. ensure
// creates a missing entry, waits for a place for up to two seconds if the table is full, then raises 53200.
SlotNo ensure_role(SlotNo db, int32 role_id);
SlotNo find_role(SlotNo db, int32 role_id);
// Returns the lane of a role in a queue, created if missing. role -1: the lane of outside workers. held: the lane for
// tasks of a role that does not exist.
SlotNo ensure_lane(SlotNo queue, SlotNo role, bool held = false);
// Returns whether the queue has a lane of the role, mostly without a lock.
bool has_lane(SlotNo queue, SlotNo role);
// Gives back a lane that no queue leads to any more.
void free_lane(SlotNo lane);
// The lanes of a namespace, and those that are free for all namespaces.
struct LaneShare {
    int64 used, free;
};
LaneShare lane_share(SlotNo ns);
// Removes the sources of a namespace from the chains of their roles. They stay readable for processes that walk along a
// chain. Returns whether there were any. Takes the registry lock.
bool unlink_sources(SlotNo ns);

}  // namespace pgqueue::memory
