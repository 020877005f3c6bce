// Limits how much a namespace may have of what all namespaces share: leases, queues, priorities, groups, dependencies.
#pragma once
#include <cstdint>

namespace pgqueue {

// The setting of a namespace (columns max_... of pgqueue_internal.namespace). 0: the fair part, at most half of what
// other namespaces do not have. Above 0: a number set by pgqueue_admin, which replaces the fair part. Below 0: a number
// set by the owner, which applies in addition to the fair part.
using Share = std::int32_t;

struct Shares {
    Share leases, groups, queues, priorities, dependencies;
};

// Returns how much a namespace may have, if it has `used` and `free` are left for all namespaces. The fair part is
// never below `used`: a namespace keeps what it got while more was free.
constexpr std::int64_t share_limit(Share own, std::int64_t used, std::int64_t free) {
    if (own > 0) return own;
    std::int64_t fair = used < free ? used + (free - used + 1) / 2 : used;
    std::int64_t number = -std::int64_t{own};
    return own < 0 && number < fair ? number : fair;
}

// Returns how many more it may take, one after the other.
constexpr std::int64_t share_room(Share own, std::int64_t used, std::int64_t free) {
    std::int64_t room = share_limit(own, used, free) - used;
    room = room < free ? room : free;
    return room > 0 ? room : 0;
}

}  // namespace pgqueue
