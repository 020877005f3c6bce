// Time zones for tests of cron texts: those of the system, read through the C library, and tables made up by a test.
#pragma once
#include "core/cron.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace cron_test {

using std::int64_t;
using pgqueue::core::CronZone;
using pgqueue::core::ZonePeriod;

struct Change {
    int64_t from;
    int64_t offset;
};

// Offsets in order of time; the first one holds from the beginning of time.
struct TableZone {
    std::vector<Change> changes;

    int64_t offset(int64_t instant) const {
        auto next = std::upper_bound(changes.begin() + 1, changes.end(), instant,
                                     [](int64_t t, const Change &c) { return t < c.from; });
        return std::prev(next)->offset;
    }
    static ZonePeriod period_at(const void *zone, int64_t instant) {
        const auto &all = static_cast<const TableZone *>(zone)->changes;
        auto next = std::upper_bound(all.begin() + 1, all.end(), instant,
                                     [](int64_t t, const Change &c) { return t < c.from; });
        return {std::prev(next)->offset, next == all.end() ? std::numeric_limits<int64_t>::max() : next->from};
    }
    CronZone zone() const { return {period_at, this}; }
};

// What the C library says of the zone that it was set to.
inline void set_library_zone(const std::string &name) {
    setenv("TZ", name.c_str(), 1);
    tzset();
}
inline int64_t library_offset(int64_t instant) {
    time_t t = instant;
    tm local;
    if (localtime_r(&t, &local) == nullptr) throw std::runtime_error("localtime_r");
    return local.tm_gmtoff;
}

// A zone of the system from 1880 to 2120.
inline const TableZone &system_zone(const char *name) {
    static std::map<std::string, TableZone> known;
    auto [entry, is_new] = known.try_emplace(name);
    if (!is_new) return entry->second;
    const char *folder = std::getenv("TZDIR");
    FILE *file = std::fopen(((folder ? folder : "/usr/share/zoneinfo") + std::string("/") + name).c_str(), "r");
    if (file == nullptr) throw std::runtime_error(std::string("the system has no time zone ") + name);
    std::fclose(file);
    set_library_zone(name);
    constexpr int64_t step = 12 * 3600, begin = -2840140800, end = 4733510400;
    auto &changes = entry->second.changes;
    changes.push_back({std::numeric_limits<int64_t>::min(), library_offset(begin)});
    for (int64_t t = begin; t < end; t += step) {
        if (library_offset(t + step) == changes.back().offset) continue;
        int64_t low = t, high = t + step;
        while (high - low > 1)
            (library_offset((low + high) / 2) == changes.back().offset ? low : high) = (low + high) / 2;
        changes.push_back({high, library_offset(high)});
    }
    return entry->second;
}

// "2026-03-08 03:00:00-04", also without seconds and with minutes or seconds in the offset.
inline int64_t instant(const std::string &text) {
    tm t{};
    int used = 0, h = 0, m = 0, s = 0;
    char sign = 0;
    if (std::sscanf(text.c_str(), "%d-%d-%d %d:%d%n",
                    &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &used) < 5)
        throw std::runtime_error("not a time: " + text);
    const char *rest = text.c_str() + used;
    int more = 0;
    if (std::sscanf(rest, ":%d%n", &t.tm_sec, &more) == 1) rest += more;
    if (std::sscanf(rest, "%c%d:%d:%d", &sign, &h, &m, &s) < 2 || (sign != '+' && sign != '-'))
        throw std::runtime_error("no offset: " + text);
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    int64_t offset = (h * 60 + m) * 60 + s;
    return timegm(&t) - (sign == '-' ? -offset : offset);
}

// The same way back; seconds only where there are some.
inline std::string shown(int64_t instant, int64_t offset) {
    time_t local = instant + offset;
    tm t;
    gmtime_r(&local, &t);
    char text[80], zone[40];
    std::size_t n = std::strftime(text, sizeof text, t.tm_sec ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &t);
    int64_t a = std::abs(offset);
    std::snprintf(zone, sizeof zone, "%c%02d", offset < 0 ? '-' : '+', static_cast<int>(a / 3600));
    std::string result = std::string(text, n) + zone;
    if (a % 3600) std::snprintf(zone, sizeof zone, ":%02d", static_cast<int>(a / 60 % 60)), result += zone;
    if (a % 60) std::snprintf(zone, sizeof zone, ":%02d", static_cast<int>(a % 60)), result += zone;
    return result;
}

}  // namespace cron_test
