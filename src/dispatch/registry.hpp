// Entries of databases, namespaces, queues, roles and lanes. Finding is lock-free where a key is immutable; creating takes the registry lock.
#pragma once
#include "dispatch/shared.hpp"

namespace pgqueue::dispatch {

// The entry of a database; -1 when there is none (ensure: when the table of databases is full).
SlotNo find_database(Oid oid);
SlotNo ensure_database(Oid oid);
// Forgets a database: frees all its entries. Workers and scheduler of it are gone.
void drop_database(SlotNo db);

// The configuration copies that dispatch needs.
struct NamespaceConfig {
    int32 ns_id;
    int32 weight;
    int32 max_running;  // 0 none
    bool paused;
};
struct QueueConfig {
    int32 queue_id;
    int32 ns_id;
    bool paused;
    TimestampTz paused_until;  // 0 none
    int32 max_running;         // 0 none
    double rate;               // starts a second, 0 none
    int32 burst;
    int64 aging;               // microseconds, 0 none
    int32 group_max_running;
    double group_rate;         // starts of a group a second, 0 none
    bool group_pass;           // group_policy pass
};

// The highest keys that entries of a database have, also those of an extension that was dropped; 0 none.
struct HighestIds {
    int32 queue, ns;
};
HighestIds highest_ids(SlotNo db);
// The extension is gone: none of its queues hands out a task any more.
void drop_queues(SlotNo db);

// All raise 53200 when the fixed tables are full.
SlotNo ensure_namespace(SlotNo db, int32 ns_id);
SlotNo ensure_queue(SlotNo db, int32 ns_id, int32 queue_id);
SlotNo find_queue(SlotNo db, int32 queue_id);
SlotNo ensure_role(SlotNo db, int32 role_id);
// role -1: the lane of outside workers. held: the one for tasks of a role that does not exist.
SlotNo ensure_lane(SlotNo queue, SlotNo role, bool held = false);

// Never raise: called at commit.
void configure_namespace(SlotNo db, const NamespaceConfig &config);
void configure_queue(SlotNo queue, const QueueConfig &config);
void drop_queue(SlotNo queue);
// Empties the lists of dropped queues; the scheduler only, which may be at work on lists without the lock.
void empty_dropped_queues(SlotNo db);
// Makes the slots of dropped queues free for others (rebuild).
void free_dropped_queues(SlotNo db);

}  // namespace pgqueue::dispatch
