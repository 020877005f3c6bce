// Moments on two clocks, in microseconds: the wall clock, which can be set, and the monotonic clock, which only goes
// forward. A period within one run of the server is measured by the monotonic clock. A time that users see as a date is
// one of the wall clock.
#pragma once
#include <compare>
#include <cstdint>

namespace pgqueue {

// Returns a + b, limited to the range of the type: INT64_MAX is `never` on both clocks.
constexpr std::int64_t add_time(std::int64_t a, std::int64_t b) {
    std::int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

struct Moment;

// A time of the monotonic clock at which something is checked again. A time of the wall clock becomes a deadline only
// through a moment. A deadline that was never set has passed.
struct Deadline {
    std::int64_t at = 0;

    constexpr bool passed(const Moment &now) const;
    constexpr Deadline after(std::int64_t micros) const { return {add_time(at, micros)}; }
    constexpr auto operator<=>(const Deadline &) const = default;
};
constexpr Deadline never{INT64_MAX};

// One moment on both clocks.
struct Moment {
    std::int64_t wall;  // TimestampTz
    std::int64_t monotonic;

    constexpr std::int64_t to_monotonic(std::int64_t t) const { return moved(t, wall, monotonic); }
    constexpr std::int64_t to_wall(std::int64_t t) const { return moved(t, monotonic, wall); }
    // Returns the deadline that is `micros` later.
    constexpr Deadline in(std::int64_t micros) const { return {add_time(monotonic, micros)}; }
    // Returns the deadline at which the wall clock will show a time, unless the clock is set before.
    constexpr Deadline until(std::int64_t t) const { return {to_monotonic(t)}; }
    // Returns by how much the wall clock was set forward (negative: back) since an earlier moment. 0 if the two clocks
    // differ by at most a second.
    constexpr std::int64_t step_since(const Moment &earlier) const {
        constexpr std::int64_t second = 1000000;
        std::int64_t step = (wall - earlier.wall) - (monotonic - earlier.monotonic);
        return step > second || step < -second ? step : 0;
    }

private:
    static constexpr std::int64_t moved(std::int64_t t, std::int64_t from, std::int64_t to) {
        return t == INT64_MAX || t == INT64_MIN ? t : add_time(t, to - from);
    }
};

constexpr bool Deadline::passed(const Moment &now) const { return at <= now.monotonic; }

}  // namespace pgqueue
