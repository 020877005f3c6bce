// What a commit does to the entries of namespaces and queues: new settings, and their end.
#pragma once
#include "memory/registry.hpp"

namespace pgqueue::dispatch {

// The configuration copies that dispatch needs.
struct NamespaceConfig {
    int32 ns_id;
    int32 weight;
    int32 max_running;  // 0 none
    bool paused;
    Shares shares;
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
    bool server;               // executor server
};

// Never raise: called at commit. What is dropped hands out no task any more; its place becomes free later (dispatch/reclaim.hpp).
void configure_namespace(SlotNo db, const NamespaceConfig &config);
void configure_queue(SlotNo queue, const QueueConfig &config);
void drop_queue(SlotNo queue);
void drop_namespace(SlotNo db, int32 ns_id);
void drop_everything(SlotNo db);

}  // namespace pgqueue::dispatch
