// How long a process that serves all sessions may wait for a single one: a twentieth of all time, saved up to a limit.
// All times in microseconds.
#pragma once
#include <cstdint>

namespace pgqueue {

struct Patience {
    static constexpr std::int64_t most = 100 * 1000, least = 1000, share = 20;

    std::int64_t left = most, at = 0;

    // Returns the longest wait that is allowed now, never below `least`.
    constexpr std::int64_t limit(std::int64_t now) {
        const std::int64_t earned = now > at ? (now - at) / share : 0;
        left = earned > most - left ? most : left + earned;
        at = now;
        return left > least ? left : least;
    }
    // Subtracts a wait that was in vain.
    constexpr void wasted(std::int64_t time) { left = left > time ? left - time : 0; }
};

}  // namespace pgqueue
