// The ttl of ready tasks. Each page, list and database has a lower bound of the dies_at of its tasks. The scheduler
// collects tasks that may have expired, reads their rows, and removes ended tasks from the lists.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Lowers the bound of the database to `dies`, unless it is lower already. Takes no lock.
void lower_min_dies(SlotNo db, int64 dies);

// A task that may have expired.
struct MayBeExpired {
    TaskRef ref;
    PageNo page;  // of a list of this queue, as it was when the task was collected; 0 none
    SlotNo queue;
    int64 dies;  // set by the caller: when it expires by its row (INT64_MAX never), 0: it no longer waits
};
// The dies_at of a task whose row could not be read. It is collected again after a while.
constexpr int64 dies_unknown = -1;

// Collects up to `most` tasks from pages whose bound has passed, and from groups. A page is collected whole, and again
// after a second unless remove_ended() has updated its bound. Namespaces share the room. Returns how many tasks were
// collected. Takes the locks of the namespaces. The scheduler only.
int collect_expired(SlotNo db, TimestampTz now, MayBeExpired *out, int most);
// Removes tasks of the last collection that no longer wait from their pages, and updates the bounds of these pages.
// Takes the locks of the namespaces. The scheduler only.
void remove_ended(const MayBeExpired *tasks, int n);
// Returns a lower bound of the dies_at of everything ready in the database; INT64_MAX: nothing expires. Takes no lock.
int64 next_expiry(SlotNo db);

}  // namespace pgqueue::dispatch
