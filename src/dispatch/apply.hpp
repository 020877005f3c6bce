// What a commit does to the entries of namespaces and queues: new settings, and their end.
#pragma once
#include "memory/registry.hpp"

namespace pgqueue::dispatch {

// What dispatch needs of a namespace's settings.
struct NamespaceConfig {
    int32 ns_id;
    int32 weight;
    int32 max_running;  // 0 none
    bool paused;
    Shares shares;
};

// Never raise: called at commit. What is dropped hands out no task any more; its place becomes free later
// (dispatch/reclaim.hpp).
void configure_namespace(SlotNo db, const NamespaceConfig &config);
void configure_queue(SlotNo queue, const QueueSettings &settings);
void drop_queue(SlotNo queue);
void drop_namespace(SlotNo db, int32 ns_id);
void drop_everything(SlotNo db);

}  // namespace pgqueue::dispatch
