// Applies a commit's changes of the configuration to the entries of namespaces and queues: new settings, and drops.
// Commits call these functions, so none raises an error.
#pragma once
#include "memory/registry.hpp"

namespace pgqueue::dispatch {

// The settings of a namespace that dispatch uses.
struct NamespaceConfig {
    int32 ns_id;
    int32 weight;
    int32 max_running;  // 0 none
    bool paused;
    Shares shares;
};

// Copies the settings to the namespace's entry, if it has one. Takes the namespace lock.
void configure_namespace(SlotNo db, const NamespaceConfig &config);
// Copies the settings to a queue, and updates which of its lanes and groups may run. Takes the namespace lock.
void configure_queue(SlotNo queue, const QueueSettings &settings);
// Drops a queue, unless it is dropped already. It hands out no more tasks, and its place becomes free later
// (dispatch/free_dropped.hpp). Wakes the sessions that wait for its tasks. Takes the registry lock, then the namespace
// lock.
void drop_queue(SlotNo queue);
// Drops the namespace's entry, if it has one. Its sources are unlinked, and its place becomes free later. Takes the
// registry lock.
void drop_namespace(SlotNo db, int32 ns_id);
// Drops all queues and namespaces of a database. Takes the same locks.
void drop_everything(SlotNo db);

}  // namespace pgqueue::dispatch
