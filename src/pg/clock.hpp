// Reads the two clocks (core/moment.hpp). .ci/checks/wall-clock lists every reader of the wall clock, with the reason.
#pragma once
#include "core/moment.hpp"
#include "pg/backend.hpp"

#include <time.h>

namespace pgqueue::pg {

using pgqueue::Deadline;
using pgqueue::Moment;

// The monotonic clock, in microseconds.
inline int64 monotonic_now() {
    timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return int64(t.tv_sec) * int64(USECS_PER_SEC) + t.tv_nsec / 1000;
}

// Processor time of this process, in microseconds.
inline int64 cpu_now() {
    timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return int64(t.tv_sec) * int64(USECS_PER_SEC) + t.tv_nsec / 1000;
}

// Returns the present moment on both clocks.
inline Moment this_moment() { return {GetCurrentTimestamp(), monotonic_now()}; }

// For callers that have no moment at hand.
inline Deadline deadline_in(int64 micros) { return Deadline{monotonic_now()}.after(micros); }
inline bool has_passed(Deadline end) { return end.at <= monotonic_now(); }

// Milliseconds until a deadline for WaitLatch, rounded up; -1 for `never`.
inline long ms_until(Deadline end) {
    return end == never ? -1 : TimestampDifferenceMilliseconds(monotonic_now(), end.at);
}

// Returns a time plus microseconds, but not beyond the end of time.
inline TimestampTz later(TimestampTz at, int64 micros) {
    constexpr TimestampTz end = END_TIMESTAMP - 1;
    return micros > end - at ? end : at + micros;
}

}  // namespace pgqueue::pg
