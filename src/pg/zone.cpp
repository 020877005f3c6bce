#include "pg/zone.hpp"

#include "core/names.hpp"

namespace pgqueue::pg {

namespace {

// A walk from change to change must make progress, whatever the server returns for the moment of a change.
core::ZonePeriod period_at(const void *zone, std::int64_t instant) {
    long offset, offset_then;
    int is_dst, is_dst_then;
    pg_time_t t = instant, change;
    int found = pg_next_dst_boundary(&t, &offset, &is_dst, &change, &offset_then, &is_dst_then,
                                     static_cast<const pg_tz *>(zone));
    return {offset, found > 0 ? Max(change, t + 1) : std::numeric_limits<std::int64_t>::max()};
}

}  // namespace

// A bare number would be a POSIX zone, in hours west of Greenwich, while SET TimeZone counts them to the east.
const pg_tz *find_zone(const char *name) {
    bool letter = lower(*name) >= 'a' && lower(*name) <= 'z';
    if (!letter && *name != '<') return nullptr;
    pg_tz *zone = pg_tzset(name);
    return zone != nullptr && pg_tz_acceptable(zone) ? zone : nullptr;
}

core::CronZone cron_zone(const pg_tz *zone) { return {period_at, zone}; }

std::optional<TimestampTz> next_slot(const core::CronSpec &spec, TimestampTz after, const pg_tz *zone) {
    std::optional<int64> slot = core::cron_next(spec, to_unix_us(after), cron_zone(zone));
    return slot && IS_VALID_TIMESTAMP(from_unix_us(*slot)) ? std::optional(from_unix_us(*slot)) : std::nullopt;
}

}  // namespace pgqueue::pg
