// A limit of starts per second: a bucket of tokens, filled by the monotonic clock, in microseconds.
#pragma once
#include <cstdint>

namespace pgqueue {

struct TokenBucket {
    double tokens;
    std::int64_t filled_at;

    // Adds the tokens since the last call, up to `size`, and returns how many there are. rate: tokens per second.
    double fill(double rate, double size, std::int64_t now) {
        if (now > filled_at) {
            tokens += static_cast<double>(now - filled_at) / 1e6 * rate;
            filled_at = now;
        }
        if (tokens > size) tokens = size;
        return tokens;
    }

    // Returns the time of the next whole token, based on the last fill().
    std::int64_t next(double rate) const {
        double wait = (1 - tokens) / rate * 1e6 + 1;
        constexpr double most = 4e18;  // longer than any server lives, and no overflow with it
        return filled_at + static_cast<std::int64_t>(wait < most ? wait : most);
    }

    // Returns a token that was taken and not used.
    void give_back(double size) { tokens = tokens + 1 < size ? tokens + 1 : size; }
};

}  // namespace pgqueue
