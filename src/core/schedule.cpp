#include "core/schedule.hpp"

#include "core/calendar.hpp"

#include <utility>

namespace pgqueue::core {
namespace {

constexpr std::int64_t second_us = 1000000;
constexpr std::int64_t day_seconds = 86400;
constexpr std::int64_t day_us = day_seconds * second_us;
// The mean length of a Gregorian month.
constexpr std::int64_t month_us = 2629746 * second_us;

constexpr std::int64_t later(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// Returns the day this many months after a date, or the last day of the month if it is shorter.
constexpr std::int64_t add_months(Date date, std::int64_t months) {
    std::int64_t all = date.year * 12 + date.month - 1 + months, year = floor_div(all, 12);
    int month = static_cast<int>(all - year * 12) + 1, last = length_of(year, month);
    return first_of_month(year, month) + (date.day < last ? date.day : last) - 1;
}

// Returns the slot this many periods after the anchor. Months and days count by the wall clock of the zone, the rest as
// elapsed time.
std::int64_t slot_of_period(const Schedule &s, std::int64_t k) {
    if (s.months == 0 && s.days == 0) return s.anchor + k * s.micros;
    std::int64_t anchor_second = floor_div(s.anchor, second_us);
    std::int64_t wall = anchor_second + s.zone.period(anchor_second).offset;
    std::int64_t day = floor_div(wall, day_seconds), then = add_months(date_of(day), k * s.months) + k * s.days;
    std::int64_t at = instant_of(s.zone, then * day_seconds + (wall - day * day_seconds));
    return at * second_us + (s.anchor - anchor_second * second_us) + k * s.micros;
}

std::int64_t next_of_period(const Schedule &s, std::int64_t after) {
    if (after < s.anchor) return s.anchor;
    if (s.months == 0 && s.days == 0) return slot_of_period(s, (after - s.anchor) / s.micros + 1);
    // The estimate is near. From a slot that is not later, the wanted one is a few steps away.
    std::int64_t k = later(0, (after - s.anchor) / (s.months * month_us + s.days * day_us + s.micros) - 1);
    while (k > 0 && slot_of_period(s, k) > after) k--;
    while (slot_of_period(s, k) <= after) k++;
    return slot_of_period(s, k);
}

// Slots of @every follow one another from the anchor on, in whole seconds.
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
    return next_of_period(p, later(after, p.anchor));
}

// Makes the element at `first` the first one, by reversing both parts and then the whole array.
void rotate(std::int64_t *items, int count, int first) {
    auto turn = [items](int from, int to) {
        for (; from < --to; from++) std::swap(items[from], items[to]);
    };
    turn(0, first);
    turn(first, count);
    turn(0, count);
}

}  // namespace

std::optional<std::int64_t> next_slot(const Schedule &s, std::int64_t after) {
    if (s.kind == Schedule::Kind::None) return std::nullopt;
    after = later(after, s.starts == INT64_MIN ? s.starts : s.starts - 1);
    std::optional<std::int64_t> slot =
        s.kind == Schedule::Kind::Cron ? next_of_cron(s, after) : next_of_period(s, after);
    return slot && *slot <= s.ends ? slot : std::nullopt;
}

int newest_slots(const Schedule &s, std::int64_t first, std::int64_t until, std::int64_t *out, int most) {
    // Searches as far back as slots at the shortest observed distance would reach, and further while there are too few.
    std::optional<std::int64_t> second = next_slot(s, first), next = next_slot(s, until),
                                other = next ? next_slot(s, *next) : next;
    std::int64_t all = until - first, gap = second ? *second - first : all;
    if (other && *other - *next < gap) gap = *other - *next;
    std::int64_t window = gap < all / most ? gap * most : all;
    for (;; window = window < all / 4 ? window * 4 : all) {
        std::int64_t from = until - window;
        std::int64_t n = 0;
        for (auto slot = from == first ? std::optional(first) : next_slot(s, from - 1); slot && *slot <= until;
             slot = next_slot(s, *slot))
            out[n++ % most] = *slot;
        if (n < most && from > first) continue;
        if (n <= most) return static_cast<int>(n);
        rotate(out, most, static_cast<int>(n % most));
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
