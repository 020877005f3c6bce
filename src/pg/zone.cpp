#include "pg/zone.hpp"

namespace pgqueue::pg {

namespace {

core::ZonePeriod period_at(const void *zone, int64 instant) {
    auto *tz = static_cast<const pg_tz *>(zone);
    long offset, offset_then;
    int is_dst, is_dst_then;
    pg_time_t boundary, t = instant;
    int found = pg_next_dst_boundary(&t, &offset, &is_dst, &boundary, &offset_then, &is_dst_then, tz);
    // The server knows of none after the very last change that it has written down; a second later it goes on with the rule.
    if (found == 0) {
        long same;
        t++;
        found = pg_next_dst_boundary(&t, &same, &is_dst, &boundary, &offset_then, &is_dst_then, tz);
    }
    return {offset, found > 0 ? boundary : std::numeric_limits<int64>::max()};
}

}  // namespace

const pg_tz *find_zone(const char *name) {
    if (*name == '\0') return nullptr;
    pg_tz *zone = pg_tzset(name);
    return zone != nullptr && pg_tz_acceptable(zone) ? zone : nullptr;
}

core::CronZone cron_zone(const pg_tz *zone) { return {period_at, zone}; }

std::optional<TimestampTz> next_slot(const core::CronSpec &spec, TimestampTz after, const pg_tz *zone) {
    std::optional<int64> slot = core::cron_next(spec, to_unix_us(after), cron_zone(zone));
    if (!slot || !IS_VALID_TIMESTAMP(from_unix_us(*slot))) return std::nullopt;
    return from_unix_us(*slot);
}

}  // namespace pgqueue::pg
