// Two clocks, both in microseconds. Rows and due times speak of the wall clock, which can be set; what lasts for a time in a running server ends
// by the monotonic one, which only goes forward.
#pragma once
#include "pg/backend.hpp"

#include <time.h>

namespace pgqueue::pg {

// One moment on both clocks. INT64_MAX is never on both, 0 or less long ago.
struct Moment {
    TimestampTz wall;
    int64 monotonic;

    int64 to_monotonic(TimestampTz t) const { return t == INT64_MAX ? t : monotonic + (t - wall); }
    TimestampTz to_wall(int64 t) const { return t == INT64_MAX ? t : wall + (t - monotonic); }
    // How far the wall clock was set forward (negative: back) since an earlier moment; 0 when it only runs a little faster or slower.
    int64 step_since(const Moment &earlier) const {
        int64 step = (wall - earlier.wall) - (monotonic - earlier.monotonic);
        return step > int64(USECS_PER_SEC) || step < -int64(USECS_PER_SEC) ? step : 0;
    }
};

inline int64 monotonic_now() {
    timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return int64(t.tv_sec) * int64(USECS_PER_SEC) + t.tv_nsec / 1000;
}

inline Moment this_moment() { return {GetCurrentTimestamp(), monotonic_now()}; }

// So much later, at most the end of time.
inline TimestampTz later(TimestampTz at, int64 micros) {
    constexpr TimestampTz end = END_TIMESTAMP - 1;
    return micros > end - at ? end : at + micros;
}

}  // namespace pgqueue::pg
