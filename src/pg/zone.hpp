// Time zones of the server for cron texts. Converts the server's timestamps from and to microseconds since 1970, the
// unit of core/cron.
#pragma once
#include "core/cron.hpp"
#include "pg/backend.hpp"

namespace pgqueue::pg {

// Microseconds from 1970 to 2000, the server's epoch.
constexpr int64 epochs_apart_us = int64{POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE} * USECS_PER_DAY;

// The last thirty years of timestamps all become INT64_MAX, the end of time.
constexpr int64 to_unix_us(TimestampTz t) {
    constexpr int64 end = std::numeric_limits<int64>::max();
    return t > end - epochs_apart_us ? end : t + epochs_apart_us;
}
constexpr TimestampTz from_unix_us(int64 t) { return t - epochs_apart_us; }

// Returns a zone that SET TimeZone would accept, from the cache of this process; nullptr: there is none. May read a
// file.
const pg_tz *find_zone(const char *name);

// Wraps a zone for core/cron.
core::CronZone cron_zone(const pg_tz *zone);

// Returns the first slot after a time. None: the text names no day of any year, or time ends.
std::optional<TimestampTz> next_slot(const core::CronSpec &spec, TimestampTz after, const pg_tz *zone);

}  // namespace pgqueue::pg
