// Entries of databases, namespaces, queues, roles and lanes. Finding is lock-free where a key is immutable; creating
// takes the registry lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// The entry of a database; -1 when there is none (ensure: when the table of databases is full).
SlotNo find_database(Oid oid);
SlotNo ensure_database(Oid oid);
// The due heap of a database, and what was put off, begin empty.
void init_due_lists(Database *d);

// The highest keys that entries of a database have, also those of an extension that was dropped; 0 none.
struct HighestIds {
    int32 queue, ns;
};
HighestIds highest_ids(SlotNo db);

// All begin the use of numbers (memory/users.hpp); those that make entries raise 53200 when the fixed tables are full.
SlotNo ensure_namespace(SlotNo db, int32 ns_id);
SlotNo find_namespace(SlotNo db, int32 ns_id);  // -1 none
SlotNo ensure_queue(SlotNo db, int32 ns_id, int32 queue_id);
SlotNo find_queue(SlotNo db, int32 queue_id);
SlotNo ensure_role(SlotNo db, int32 role_id);
SlotNo find_role(SlotNo db, int32 role_id);  // -1 none
// role -1: the lane of outside workers. held: the one for tasks of a role that does not exist.
SlotNo ensure_lane(SlotNo queue, SlotNo role, bool held = false);
bool has_lane(SlotNo queue, SlotNo role);
// Gives a lane back that no queue leads to any more.
void free_lane(SlotNo lane);
// How many lanes a namespace has, and how many are free for all namespaces.
struct LaneShare {
    int64 used, free;
};
LaneShare lane_share(SlotNo ns);
// What a namespace has of the places for queues. A dropped queue has one until nobody uses its number any more.
struct QueueShare {
    Share own;
    int64 used, dropped, free;  // used: dropped ones too; free: for all namespaces
};
QueueShare queue_share(SlotNo ns);
// Has the queue an entry that is in use? Mostly without a lock.
bool is_queue_known(SlotNo db, int32 queue_id);
// Memory has heard of the queue's end; the caches of the catalog may hear a moment later.
bool is_queue_dropped(SlotNo db, int32 queue_id);
// Takes a queue out of where it is found, and marks it.
void hide_queue(SlotNo queue);
// Takes the sources of a namespace out of the chains of their roles; they stay readable for who walks along one.
// Returns whether there were any.
bool unlink_sources(SlotNo ns);

}  // namespace pgqueue::memory
