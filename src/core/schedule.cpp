#include "core/schedule.hpp"

#include <algorithm>
#include <chrono>

namespace pgqueue::core {
namespace {

constexpr std::int64_t second_us = 1000000;
constexpr std::int64_t day_us = 86400 * second_us;
// Mean length of a Gregorian month.
constexpr std::int64_t month_us = 2629746 * second_us;

constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// A date so many months later, or the last day of a month that has not that day.
std::chrono::sys_days add_months(std::chrono::sys_days date, std::int64_t months) {
    std::chrono::year_month_day d{date};
    std::int64_t all = static_cast<std::int64_t>(static_cast<int>(d.year())) * 12 + (static_cast<unsigned>(d.month()) - 1) + months;
    std::chrono::year_month there{std::chrono::year{static_cast<int>(floor_div(all, 12))}, std::chrono::month{static_cast<unsigned>(all - floor_div(all, 12) * 12) + 1}};
    std::chrono::day last = (there / std::chrono::last).day();
    return std::chrono::sys_days{there / std::min(d.day(), last)};
}

// The slot so many periods after the anchor. Months and days count in the wall clock of the zone, the rest in elapsed time.
std::int64_t slot_of_period(const Schedule &s, std::int64_t k) {
    if (s.months == 0 && s.days == 0) return s.anchor + k * s.micros;
    std::int64_t anchor_second = floor_div(s.anchor, second_us);
    std::int64_t wall = anchor_second + s.zone.period(anchor_second).offset;
    std::int64_t day = floor_div(wall, 86400);
    std::chrono::sys_days date = add_months(std::chrono::sys_days{std::chrono::days{day}}, k * s.months) + std::chrono::days{k * s.days};
    std::int64_t at = instant_of(s.zone, static_cast<std::int64_t>(date.time_since_epoch().count()) * 86400 + (wall - day * 86400));
    return at * second_us + (s.anchor - anchor_second * second_us) + k * s.micros;
}

std::int64_t next_of_period(const Schedule &s, std::int64_t after) {
    if (after < s.anchor) return s.anchor;
    if (s.months == 0 && s.days == 0) return slot_of_period(s, (after - s.anchor) / s.micros + 1);
    // The estimate is near; from a slot that is not later the one wanted is a few steps away.
    std::int64_t k = std::max<std::int64_t>(0, (after - s.anchor) / (s.months * month_us + s.days * day_us + s.micros) - 1);
    while (k > 0 && slot_of_period(s, k) > after) k--;
    while (slot_of_period(s, k) <= after) k++;
    return slot_of_period(s, k);
}

// Slots of @every come one after the other from the anchor on, in whole seconds.
Schedule every(const Schedule &s) {
    Schedule p = s;
    p.kind = Schedule::Kind::Period;
    p.months = p.days = 0;
    p.micros = s.cron.every_us;
    p.anchor = floor_div(s.anchor, second_us) * second_us;
    return p;
}

std::optional<std::int64_t> next_of_cron(const Schedule &s, std::int64_t after) {
    if (!s.cron.every) return cron_next(s.cron, after, s.zone);
    Schedule p = every(s);
    return next_of_period(p, std::max(after, p.anchor));
}

}  // namespace

std::optional<std::int64_t> next_slot(const Schedule &s, std::int64_t after) {
    if (s.kind == Schedule::Kind::None) return std::nullopt;
    after = std::max(after, s.starts == INT64_MIN ? s.starts : s.starts - 1);
    std::optional<std::int64_t> slot = s.kind == Schedule::Kind::Cron ? next_of_cron(s, after) : next_of_period(s, after);
    return slot && *slot <= s.ends ? slot : std::nullopt;
}

int newest_slots(const Schedule &s, std::int64_t first, std::int64_t until, std::int64_t *out, int most, bool *more) {
    // As far back as slots of that distance would reach, further while there are too few of them.
    std::optional<std::int64_t> second = next_slot(s, first);
    std::int64_t window = second ? (*second - first) * most : 0;
    for (;; window *= 4) {
        std::int64_t from = window < until - first ? std::max(first, until - window) : first;
        std::int64_t n = 0;
        for (auto slot = from == first ? std::optional(first) : next_slot(s, from - 1); slot && *slot <= until; slot = next_slot(s, *slot)) out[n++ % most] = *slot;
        if (n < most && from > first) continue;
        *more = n > most || from > first;
        if (n <= most) return static_cast<int>(n);
        std::rotate(out, out + n % most, out + most);
        return most;
    }
}

std::int64_t jitter_of(std::int32_t ticker, std::int64_t slot, std::int64_t jitter) {
    if (jitter <= 0) return 0;
    // The finalizer of MurmurHash3 (Austin Appleby, public domain) mixes all bits.
    auto h = static_cast<std::uint64_t>(slot) ^ static_cast<std::uint64_t>(static_cast<std::uint32_t>(ticker)) << 32;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdULL;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ULL;
    h ^= h >> 33;
    return static_cast<std::int64_t>(h % static_cast<std::uint64_t>(jitter));
}

}  // namespace pgqueue::core
