// Time zones of the server for core/, and its two ways to count time: microseconds since 2000 in TimestampTz, since 1970 in core/.
#pragma once
#include "core/cron.hpp"
#include "pg/backend.hpp"

namespace pgqueue::pg {

// False: no such zone. The zone lives as long as the process.
bool find_zone(const char *name, core::CronZone *zone);

constexpr int64 epoch_distance = int64(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
inline int64 to_unix(TimestampTz t) { return t + epoch_distance; }
inline TimestampTz from_unix(int64 t) { return t - epoch_distance; }

}  // namespace pgqueue::pg
