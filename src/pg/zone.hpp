// Time zones of the server for cron texts, and the server's timestamps beside the microseconds since 1970 that
// core/cron counts in.
#pragma once
#include "core/cron.hpp"
#include "pg/backend.hpp"

namespace pgqueue::pg {

// From 1970 to 2000, the server's epoch.
constexpr int64 epochs_apart_us = int64{POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE} * USECS_PER_DAY;

// The last thirty years that a timestamp can have are one moment, the end of time.
constexpr int64 to_unix_us(TimestampTz t) {
    constexpr int64 end = std::numeric_limits<int64>::max();
    return t > end - epochs_apart_us ? end : t + epochs_apart_us;
}
constexpr TimestampTz from_unix_us(int64 t) { return t - epochs_apart_us; }

// A zone that SET TimeZone would take, in the cache of this process; nullptr: there is none. May read a file.
const pg_tz *find_zone(const char *name);

core::CronZone cron_zone(const pg_tz *zone);

// The first slot after a time. None: there is no day like that, or time ends.
std::optional<TimestampTz> next_slot(const core::CronSpec &spec, TimestampTz after, const pg_tz *zone);

}  // namespace pgqueue::pg
