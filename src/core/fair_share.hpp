// Fair share between namespaces: each has a virtual time that grows by unit / weight for every task; the smallest one
// is served next.
#pragma once
#include <cstdint>

namespace pgqueue {

constexpr std::uint64_t share_unit = 1000 * 1000;

// How far the virtual time of a namespace moves for `tasks` tasks; a weight below 1 counts as 1.
constexpr std::uint64_t share_step(std::uint64_t tasks, std::int32_t weight) {
    return share_unit * tasks / static_cast<std::uint64_t>(weight > 0 ? weight : 1);
}

// The virtual time of a namespace that gets work again: what it did not use while it had none is not saved up.
constexpr std::uint64_t share_rejoin(std::uint64_t own, std::uint64_t current) { return own > current ? own : current; }

}  // namespace pgqueue
