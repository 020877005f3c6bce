// Fair share between namespaces. Each has a virtual time that grows by unit / weight for every task. The namespace with
// the smallest virtual time is served next.
#pragma once
#include <cstdint>

namespace pgqueue {

constexpr std::uint64_t virtual_time_unit = 1000 * 1000;

// Returns by how much the virtual time of a namespace grows for `tasks` tasks. A weight below 1 counts as 1.
constexpr std::uint64_t virtual_time_step(std::uint64_t tasks, std::int32_t weight) {
    return virtual_time_unit * tasks / static_cast<std::uint64_t>(weight > 0 ? weight : 1);
}

// Returns the virtual time of a namespace that gets work again. It does not keep the share that it did not use without
// work.
constexpr std::uint64_t rejoined_virtual_time(std::uint64_t own, std::uint64_t current) {
    return own > current ? own : current;
}

}  // namespace pgqueue
