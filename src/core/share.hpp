// What a namespace may have of something that all namespaces share: leases, queues, priorities, groups, dependencies.
#pragma once
#include <cstdint>

namespace pgqueue {

// The part of a namespace (columns max_... of pgqueue_internal.namespace). 0: the fair part, at most half of what is
// not others'. Above 0: pgqueue_admin's number, which holds instead of it. Below 0: the owner's number, which holds
// beside it.
using Share = std::int32_t;

struct Shares {
    Share leases, groups, queues, priorities, dependencies;
};

// The most that a namespace may have while it has `used` and `free` are left for everybody. Never less than `used` for
// the fair part: what was had in better times is kept.
constexpr std::int64_t share_limit(Share own, std::int64_t used, std::int64_t free) {
    if (own > 0) return own;
    std::int64_t fair = used < free ? used + (free - used + 1) / 2 : used;
    std::int64_t number = -std::int64_t{own};
    return own < 0 && number < fair ? number : fair;
}

// How many more it may take, one after the other.
constexpr std::int64_t share_room(Share own, std::int64_t used, std::int64_t free) {
    std::int64_t room = share_limit(own, used, free) - used;
    room = room < free ? room : free;
    return room > 0 ? room : 0;
}

}  // namespace pgqueue
