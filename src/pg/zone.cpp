#include "pg/zone.hpp"

namespace pgqueue::pg {
namespace {

core::ZonePeriod period_at(const void *zone, int64 instant) {
    pg_time_t at = instant, boundary;
    long offset, after_offset;
    int is_dst, after_is_dst;
    int found = pg_next_dst_boundary(&at, &offset, &is_dst, &boundary, &after_offset, &after_is_dst, static_cast<const pg_tz *>(zone));
    return {found < 0 ? 0 : offset, found > 0 ? boundary : INT64_MAX};
}

}  // namespace

bool find_zone(const char *name, core::CronZone *zone) {
    const pg_tz *tz = pg_tzset(name);
    *zone = {period_at, tz};
    return tz != nullptr;
}

}  // namespace pgqueue::pg
