// The settings of a queue that decide when its tasks may run. They are read from its row and kept in shared memory.
#pragma once
#include <cstdint>

namespace pgqueue {

struct QueueSettings {
    bool server;  // executor server
    bool paused;
    int64_t paused_until;  // 0 none
    int32_t max_running;   // 0 none
    int64_t max_depth;     // 0 none
    double rate_limit;     // starts a second, 0 none
    int32_t rate_burst;
    int64_t aging;  // microseconds of waiting that count as one priority step, 0 none
    int32_t group_max_running;
    double group_rate_limit;  // starts of a group a second, 0 none
    bool group_pass;          // group_policy pass

    // Returns whether tasks have the same places in their groups under both settings.
    bool same_groups(const QueueSettings &other) const {
        return group_max_running == other.group_max_running && group_rate_limit == other.group_rate_limit &&
               group_pass == other.group_pass && aging == other.aging;
    }
};

}  // namespace pgqueue
