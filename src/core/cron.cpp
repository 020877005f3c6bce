// Finds the next slot of a cron text from bit masks, a month at a time. Instants and wall clock times are in seconds.
#include "core/cron.hpp"

#include "core/calendar.hpp"

#include <bit>
#include <limits>

namespace pgqueue::core {

namespace {

constexpr std::int64_t day_seconds = 86400;
constexpr std::int64_t second_us = 1000000;
// The end of the search. Every possible date recurs earlier: 29 February on a given weekday takes at most 40 years.
constexpr std::int64_t years_searched = 41;
// More than any offset from UTC, which POSIX time zones limit to 167 hours.
constexpr std::int64_t longest_offset = 7 * day_seconds;

template <typename Mask>
constexpr bool has(Mask mask, int n) {
    return (mask >> n & 1) != 0;
}

// Returns the least member of a mask from n on; -1: none.
constexpr int next_in(std::uint64_t mask, int n) {
    mask = n < 64 ? mask >> n << n : 0;
    return mask == 0 ? -1 : std::countr_zero(mask);
}

// A month: its length, and the weekday of its first day.
struct Month {
    int length;
    int begins;

    int weekday(int day) const { return (begins + day - 1) % 7; }
    int first(int weekday) const { return 1 + (weekday - begins + 7) % 7; }
    std::uint32_t all() const { return static_cast<std::uint32_t>((std::uint64_t{2} << length) - 2); }
};

// Returns the nearest day from Monday to Friday inside the month.
int nearest_workday(const Month &month, int day) {
    switch (month.weekday(day)) {
        case 6: return day > 1 ? day - 1 : day + 2;
        case 0: return day < month.length ? day + 1 : day - 2;
        default: return day;
    }
}

std::uint32_t days_by_number(const CronSpec &spec, const Month &month) {
    std::uint32_t days = spec.days;
    for (int n = next_in(spec.days_before_last, 0); n >= 0 && n < month.length;
         n = next_in(spec.days_before_last, n + 1))
        days |= std::uint32_t{1} << (month.length - n);
    for (int n = next_in(spec.nearest_weekdays, 0); n > 0 && n <= month.length;
         n = next_in(spec.nearest_weekdays, n + 1))
        days |= std::uint32_t{1} << nearest_workday(month, n);
    if (spec.last_workday) days |= std::uint32_t{1} << nearest_workday(month, month.length);
    return days & month.all();
}

std::uint32_t days_by_weekday(const CronSpec &spec, const Month &month) {
    // The weekdays, beginning with that of the first day, five times.
    std::uint64_t week = (spec.weekdays >> month.begins | spec.weekdays << (7 - month.begins)) & 0x7f;
    auto days = static_cast<std::uint32_t>(week * 0x10204081 << 1);
    for (int n = 0; n < 5; n++)
        for (int w = next_in(spec.nth_weekdays[static_cast<std::size_t>(n)], 0); w >= 0;
             w = next_in(spec.nth_weekdays[static_cast<std::size_t>(n)], w + 1))
            if (int day = month.first(w) + 7 * n; day <= month.length) days |= std::uint32_t{1} << day;
    for (int w = next_in(spec.last_weekdays, 0); w >= 0; w = next_in(spec.last_weekdays, w + 1)) {
        int first = month.first(w);
        days |= std::uint32_t{1} << (first + (month.length - first) / 7 * 7);
    }
    return days & month.all();
}

// Returns the days of a month that a text names. If both day fields are restricted, a day of either one counts.
std::uint32_t days_of(const CronSpec &spec, std::int64_t year, int month, std::int64_t first_day) {
    if (!has(spec.months, month)) return 0;
    Month m{length_of(year, month), static_cast<int>(first_day + 4 - floor_div(first_day + 4, 7) * 7)};
    std::uint32_t by_number = days_by_number(spec, m), by_weekday = days_by_weekday(spec, m);
    return spec.any_day || spec.any_weekday ? by_number & by_weekday : by_number | by_weekday;
}

int first_time(const CronSpec &spec) {
    return (next_in(spec.hours, 0) * 60 + next_in(spec.minutes, 0)) * 60 + next_in(spec.seconds, 0);
}

// Returns the first second of a day from `from` on; -1: none.
int next_time(const CronSpec &spec, int from) {
    int hour = from / 3600, minute = from / 60 % 60, second = from % 60;
    if (has(spec.hours, hour)) {
        if (has(spec.minutes, minute))
            if (int s = next_in(spec.seconds, second); s >= 0) return (hour * 60 + minute) * 60 + s;
        if (int m = next_in(spec.minutes, minute + 1); m >= 0) return (hour * 60 + m) * 60 + next_in(spec.seconds, 0);
    }
    int h = next_in(spec.hours, hour + 1);
    return h < 0 ? -1 : (h * 60 + next_in(spec.minutes, 0)) * 60 + next_in(spec.seconds, 0);
}

// Returns the first wall clock time from `from` on that the text names.
std::optional<std::int64_t> next_wall_time(const CronSpec &spec, std::int64_t from) {
    std::int64_t day = floor_div(from, day_seconds);
    auto [year, month, day_of_month] = date_of(day);
    std::int64_t first_day = day - (day_of_month - 1);
    std::uint32_t days = days_of(spec, year, month, first_day);
    if (has(days, day_of_month))
        if (int t = next_time(spec, static_cast<int>(from - day * day_seconds)); t >= 0) return day * day_seconds + t;
    std::int64_t last_year = year + years_searched;
    int next = next_in(days, day_of_month + 1);
    while (next < 0) {
        month = next_in(spec.months, month + 1);
        if (month < 0) {
            month = next_in(spec.months, 1);
            if (++year > last_year) return std::nullopt;
        }
        first_day = first_of_month(year, month);
        next = next_in(days_of(spec, year, month, first_day), 1);
    }
    return (first_day + next - 1) * day_seconds + first_time(spec);
}

// Returns the latest time that the wall clock has shown up to an instant. A clock that is set back shows times again.
std::int64_t latest_shown(const CronZone &zone, std::int64_t instant) {
    std::int64_t latest = std::numeric_limits<std::int64_t>::min();
    for (std::int64_t t = instant - 2 * longest_offset;;) {
        ZonePeriod p = zone.period(t);
        bool current = p.until > instant;
        std::int64_t shown = (current ? instant : p.until - 1) + p.offset;
        if (shown > latest) latest = shown;
        if (current) return latest;
        t = p.until;
    }
}

// If a text names hours, its slots are times of the wall clock, and each comes once.
std::optional<std::int64_t> next_of_hours(const CronSpec &spec, std::int64_t after, const CronZone &zone) {
    std::optional<std::int64_t> wall_time = next_wall_time(spec, latest_shown(zone, after) + 1);
    return wall_time ? std::optional(instant_of(zone, *wall_time)) : std::nullopt;
}

// If a text is for every hour, its slots are the instants at which the wall clock shows such a time, for the first time
// or again.
std::optional<std::int64_t> next_of_every_hour(const CronSpec &spec, std::int64_t after, const CronZone &zone) {
    for (std::int64_t t = after + 1;;) {
        ZonePeriod p = zone.period(t);
        std::optional<std::int64_t> wall_time = next_wall_time(spec, t + p.offset);
        if (!wall_time) return std::nullopt;
        if (*wall_time - p.offset < p.until) return *wall_time - p.offset;
        t = p.until;
    }
}

}  // namespace

std::int64_t instant_of(const CronZone &zone, std::int64_t wall_time) {
    for (std::int64_t t = wall_time - longest_offset;;) {
        ZonePeriod p = zone.period(t);
        if (wall_time - p.offset > t) t = wall_time - p.offset;
        if (t < p.until) return t;
        t = p.until;
    }
}

std::optional<std::int64_t> cron_next(const CronSpec &spec, std::int64_t after_us, const CronZone &zone) {
    constexpr std::int64_t far =
        std::numeric_limits<std::int64_t>::max() / second_us - (years_searched + 2) * 366 * day_seconds;
    constexpr std::uint32_t all_hours = (1u << 24) - 1;
    std::int64_t after = floor_div(after_us, second_us);
    if (after > far || after < -far) return std::nullopt;
    if (spec.every)
        return after > far - spec.every_us / second_us ? std::nullopt
                                                       : std::optional(after * second_us + spec.every_us);
    std::optional<std::int64_t> slot =
        spec.hours == all_hours ? next_of_every_hour(spec, after, zone) : next_of_hours(spec, after, zone);
    return slot ? std::optional(*slot * second_us) : std::nullopt;
}

}  // namespace pgqueue::core
