// Cron texts: parses them, and finds their next slot. A slot is a whole second. docs/cron.md describes syntax and time
// zones.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pgqueue::core {

constexpr std::size_t cron_zone_limit = 64;

// A parsed cron text. Bit n of a mask means the number n.
struct CronSpec {
    std::uint64_t seconds;
    std::uint64_t minutes;
    std::uint32_t hours;
    std::uint32_t days;                        // 1 to 31
    std::uint32_t days_before_last;            // L is 0, L-3 is 3
    std::uint32_t nearest_weekdays;            // 15W is 15
    std::uint16_t months;                      // 1 to 12
    std::uint8_t weekdays;                     // Sunday 0
    std::uint8_t last_weekdays;                // 5L is 5
    std::array<std::uint8_t, 5> nth_weekdays;  // 5#2 is 5 in [1]
    bool last_workday;                         // LW
    bool any_day;                              // day of month has a * or ?, without a step above 1
    bool any_weekday;                          // so has day of week
    bool every;                                // @every: only every_us is used
    std::int64_t every_us;
    char zone[cron_zone_limit];  // of the prefix TZ= or CRON_TZ=; empty: none
};

struct CronError {
    int position;       // byte in the text where the error is
    const char *field;  // "minute", "time zone", ...; "" for the text as a whole
    char message[128];  // a sentence: what is wrong
    const char *hint;   // a sentence: what is allowed
};

// Parses a cron text. Returns false if it is not valid, with the reason in `error`.
bool parse_cron(std::string_view text, CronSpec &spec, CronError &error);

// The offset from UTC at an instant, and the end of the period with this offset; in seconds.
struct ZonePeriod {
    std::int64_t offset;
    std::int64_t until;  // the first instant after the period; INT64_MAX: it never ends
};

// A time zone: its data, and the function that reads them.
struct CronZone {
    ZonePeriod (*period_at)(const void *zone, std::int64_t instant);
    const void *zone;

    ZonePeriod period(std::int64_t instant) const { return period_at(zone, instant); }
};

// Returns the first instant at which the wall clock shows a time, or has jumped over it. Both are in seconds since
// 1970; the time is counted as if it were UTC.
std::int64_t instant_of(const CronZone &zone, std::int64_t wall_time);

// Returns the first slot after an instant, in microseconds since 1970 UTC. None: the text names no day of any year, or
// time ends.
std::optional<std::int64_t> cron_next(const CronSpec &spec, std::int64_t after_us, const CronZone &zone);

}  // namespace pgqueue::core
