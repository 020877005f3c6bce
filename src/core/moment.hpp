// Moments on two clocks, in microseconds: the wall clock, which can be set, and the monotonic one, which only goes
// forward. What begins and ends within a life of the server ends by the monotonic clock; what users see as a time of
// the calendar is one of the wall clock.
#pragma once
#include <compare>
#include <cstdint>

namespace pgqueue {

// a + b, at most the ends of the range: INT64_MAX is never on both clocks.
constexpr std::int64_t add_time(std::int64_t a, std::int64_t b) {
    std::int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

struct Moment;

// When something is looked at again: a time of the monotonic clock. One of the wall clock becomes a deadline through a
// moment only. One that was never set has passed.
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
    // So much later.
    constexpr Deadline in(std::int64_t micros) const { return {add_time(monotonic, micros)}; }
    // When the wall clock will show a time, unless it is set before.
    constexpr Deadline until(std::int64_t t) const { return {to_monotonic(t)}; }
    // How far the wall clock was set forward (negative: back) since an earlier moment; 0 when it only runs a little
    // faster or slower.
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
