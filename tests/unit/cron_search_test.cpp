// Cron texts against a plain search: another reader, which makes sets of numbers of a text, and a walk through time
// minute by minute, second by second or day by day (rows B36 to B41). Random texts and zones, from fixed seeds and one
// that the test prints.
#include "core/cron.hpp"
#include "lib/cron_zones.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <set>
#include <sstream>

namespace {

using namespace cron_test;
using pgqueue::core::cron_next;
using pgqueue::core::CronError;
using pgqueue::core::CronSpec;
using pgqueue::core::parse_cron;
using Random = std::mt19937_64;

// ===== the other reader =====

struct Plain {
    std::set<int> second, minute, hour, day, month, weekday;
    std::set<std::string> special_days, special_weekdays;
    bool day_star = false, weekday_star = false, seconds_given = false;
};

std::vector<std::string> split(const std::string &text, char at) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, at);) parts.push_back(part);
    return parts;
}

int number_of(const std::string &word) {
    static const std::map<std::string, int> names = {{"jan", 1},  {"feb", 2},  {"mar", 3}, {"apr", 4}, {"may", 5},
                                                     {"jun", 6},  {"jul", 7},  {"aug", 8}, {"sep", 9}, {"oct", 10},
                                                     {"nov", 11}, {"dec", 12}, {"sun", 0}, {"mon", 1}, {"tue", 2},
                                                     {"wed", 3},  {"thu", 4},  {"fri", 5}, {"sat", 6}};
    auto name = names.find(word);
    return name != names.end() ? name->second : std::stoi(word);
}

void expand(const std::string &field, int least, int most, std::set<int> &numbers, std::set<std::string> *special,
            bool *star) {
    for (const std::string &element : split(field, ',')) {
        if (special && element.find_first_of("LW#") != std::string::npos) {
            special->insert(element);
            continue;
        }
        std::vector<std::string> stepped = split(element, '/'), ends = split(stepped[0], '-');
        int step = stepped.size() > 1 ? std::stoi(stepped[1]) : 1, from = least, to = most;
        bool any = ends[0] == "*" || ends[0] == "?";
        if (!any) {
            from = number_of(ends[0]);
            to = ends.size() > 1 ? number_of(ends[1]) : stepped.size() > 1 ? most : from;
        } else if (star && step == 1) {
            *star = true;
        }
        for (int n = from; n <= to; n++)
            if ((n - from) % step == 0) numbers.insert(n);
    }
}

Plain read_plainly(const std::string &text) {
    Plain p;
    std::vector<std::string> f = split(text, ' ');
    p.seconds_given = f.size() == 6;
    if (!p.seconds_given) f.insert(f.begin(), "0");
    expand(f[0], 0, 59, p.second, nullptr, nullptr);
    expand(f[1], 0, 59, p.minute, nullptr, nullptr);
    expand(f[2], 0, 23, p.hour, nullptr, nullptr);
    expand(f[3], 1, 31, p.day, &p.special_days, &p.day_star);
    expand(f[4], 1, 12, p.month, nullptr, nullptr);
    expand(f[5], 0, 6, p.weekday, &p.special_weekdays, &p.weekday_star);
    return p;
}

// ===== what a wall clock time matches, said with the C library's calendar =====

tm calendar(int64_t wall_time) {
    time_t t = wall_time;
    tm result;
    gmtime_r(&t, &result);
    return result;
}
bool same_month(int64_t day, int n) { return calendar((day + n) * 86400).tm_mon == calendar(day * 86400).tm_mon; }
bool is_workday(int64_t day) {
    int w = calendar(day * 86400).tm_wday;
    return w >= 1 && w <= 5;
}

// Is it the workday nearest to the target, which is in its month?
bool is_nearest(int64_t day, int64_t target) {
    for (int64_t distance = 0; distance <= 2; distance++)
        for (int64_t candidate : {target - distance, target + distance})
            if (is_workday(candidate) && same_month(target, static_cast<int>(candidate - target)))
                return candidate == day;
    return false;
}

bool special_day_matches(const std::string &element, int64_t day, const tm &date) {
    int64_t first = day - (date.tm_mday - 1), last = day;
    while (same_month(last, 1)) last++;
    if (element == "L") return day == last;
    if (element == "LW") return is_nearest(day, last);
    if (element[0] == 'L') return day == last - std::stoi(element.substr(2));
    int64_t target = first + std::stoi(element) - 1;
    return target <= last && is_nearest(day, target);
}

bool special_weekday_matches(const std::string &element, int64_t day, const tm &date) {
    std::size_t mark = element.find_first_of("L#");
    if (number_of(element.substr(0, mark)) != date.tm_wday) return false;
    if (element[mark] == 'L') return !same_month(day, 7);
    return (date.tm_mday - 1) / 7 + 1 == std::stoi(element.substr(mark + 1));
}

bool day_matches(const Plain &p, int64_t day) {
    tm date = calendar(day * 86400);
    if (!p.month.count(date.tm_mon + 1)) return false;
    bool by_day = p.day.count(date.tm_mday) != 0, by_weekday = p.weekday.count(date.tm_wday) != 0;
    for (const std::string &e : p.special_days) by_day = by_day || special_day_matches(e, day, date);
    for (const std::string &e : p.special_weekdays) by_weekday = by_weekday || special_weekday_matches(e, day, date);
    return p.day_star || p.weekday_star ? by_day && by_weekday : by_day || by_weekday;
}

// Remembers the last day it was asked for.
struct Matcher {
    Plain plain;
    int64_t day = std::numeric_limits<int64_t>::min();
    bool day_is_good = false;

    bool operator()(int64_t wall_time) {
        int64_t d = wall_time >= 0 ? wall_time / 86400 : -((-wall_time + 86399) / 86400);
        if (d != day) day = d, day_is_good = day_matches(plain, d);
        if (!day_is_good) return false;
        auto s = static_cast<int>(wall_time - d * 86400);
        return plain.second.count(s % 60) && plain.minute.count(s / 60 % 60) && plain.hour.count(s / 3600);
    }
};

// Walks from `before` seconds before `after`, more than a clock can be set back, in steps of a minute or a second,
// keeping the latest time that the clock has shown. A text with hours has a slot when the clock shows a matching time
// that it has not shown or jumped over before; one for every hour, whenever it shows one. None up to `until`: nullopt.
std::optional<int64_t> search(Matcher matches, int64_t after, int64_t until, int64_t before,
                              const std::function<int64_t(int64_t)> &offset) {
    const int64_t step = matches.plain.seconds_given ? 1 : 60;
    const bool every_hour = matches.plain.hour.size() == 24;
    int64_t begin = (after - before) / 60 * 60, shown = begin + offset(begin);
    for (int64_t t = begin; t <= until; t += step) {
        int64_t wall_time = t + offset(t);
        if (every_hour) {
            if (t > after && matches(wall_time)) return t;
            continue;
        }
        for (; shown < wall_time; shown += step)
            if (t > after && matches(shown + step)) return t;
    }
    return std::nullopt;
}

// ===== random texts =====

int up_to(Random &random, int n) { return static_cast<int>(random() % static_cast<std::uint64_t>(n + 1)); }

std::string value_text(Random &random, int n, int least, const char *names) {
    if (names && up_to(random, 2) == 0) return split(names, ' ')[static_cast<std::size_t>(n - least)];
    return std::to_string(n);
}

std::string element_text(Random &random, int least, int most, const char *names) {
    auto value = [&](int n) { return value_text(random, n, least, names); };
    int a = least + up_to(random, most - least), b = least + up_to(random, most - least);
    std::string step = up_to(random, 2) == 0 ? "/" + std::to_string(1 + up_to(random, most)) : "";
    switch (up_to(random, 5)) {
        case 0: return "*" + step;
        case 1: return value(std::min(a, b)) + "-" + value(std::max(a, b)) + step;
        case 2: return value(a) + step;
        default: return value(a);
    }
}

std::string field_text(Random &random, int least, int most, const char *names, int stars,
                       const std::function<std::string()> &special = nullptr) {
    if (up_to(random, 9) < stars) return up_to(random, 4) ? "*" : "?";
    std::string text;
    for (int n = 1 + up_to(random, 2); n > 0; n--) {
        if (!text.empty()) text += ",";
        text += special && up_to(random, 2) == 0 ? special() : element_text(random, least, most, names);
    }
    return text;
}

constexpr const char *months = "jan feb mar apr may jun jul aug sep oct nov dec";
constexpr const char *weekdays = "sun mon tue wed thu fri sat";

std::string days_text(Random &random, int stars) {
    auto special_day = [&]() -> std::string {
        switch (up_to(random, 3)) {
            case 0: return "L";
            case 1: return "LW";
            case 2: return "L-" + std::to_string(1 + up_to(random, 29));
            default: return std::to_string(1 + up_to(random, 30)) + "W";
        }
    };
    auto special_weekday = [&] {
        return value_text(random, up_to(random, 6), 0, weekdays) +
               (up_to(random, 1) ? "L" : "#" + std::to_string(1 + up_to(random, 4)));
    };
    return field_text(random, 1, 31, nullptr, stars, special_day) + " " + field_text(random, 1, 12, months, stars) +
           " " + field_text(random, 0, 6, weekdays, stars, special_weekday);
}

CronSpec parsed(const std::string &text) {
    CronSpec spec;
    CronError error;
    EXPECT_TRUE(parse_cron(text, spec, error)) << text << ": " << error.message << " at " << error.position;
    return spec;
}

std::vector<std::uint64_t> seeds() {
    static const std::uint64_t random = std::random_device{}();
    std::printf("random seed %llu\n", static_cast<unsigned long long>(random));
    return {1, 2, 3, random};
}

// ===== comparisons =====

// Midnight of the days that day of month, month and day of week name, over decades.
TEST(CronSearch, Days) {
    for (std::uint64_t seed : seeds()) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random(seed);
        for (int i = 0; i < 400; i++) {
            std::string text = "0 0 " + days_text(random, 4);
            CronSpec spec = parsed(text);
            Plain plain = read_plainly(text);
            int64_t after = -30000 + up_to(random, 90000), day = after + 1, last = after + 8 * 366;
            while (day <= last && !day_matches(plain, day)) day++;
            std::optional<int64_t> slot = cron_next(spec, after * 86400 * 1000000, system_zone("UTC").zone());
            if (day <= last)
                ASSERT_EQ(slot, day * 86400 * 1000000) << text << " after day " << after;
            else
                ASSERT_TRUE(!slot || *slot > last * 86400 * 1000000) << text << " after day " << after;
        }
    }
}

// A text with dense slots, its slots after an instant and a search's.
void compare(Random &random, const TableZone &table, const std::function<int64_t(int64_t)> &offset, int64_t after,
             int64_t before, bool seconds) {
    std::string text = field_text(random, 0, 59, nullptr, 2) + " " + field_text(random, 0, 23, nullptr, 3) + " " +
                       days_text(random, 8);
    if (seconds) text = field_text(random, 0, 59, nullptr, 2) + " " + text;
    CronSpec spec = parsed(text);
    Matcher matcher{read_plainly(text)};
    int64_t until = after + (seconds ? 3600 : 3 * 86400);
    for (int n = 0; n < 3 && after < until; n++) {
        std::optional<int64_t> found = search(matcher, after, until, before, offset);
        std::optional<int64_t> slot = cron_next(spec, after * 1000000, table.zone());
        if (!found) {
            ASSERT_TRUE(!slot || *slot > until * 1000000) << text << " after " << after << ": " << slot.value_or(0);
            return;
        }
        ASSERT_EQ(slot, *found * 1000000) << text << " after " << after;
        after = *found;
    }
}

TEST(CronSearch, ZonesOfTheSystem) {
    const std::vector<std::uint64_t> all_seeds = seeds();
    // Of their years the ones whose offsets are whole minutes.
    for (const char *name : {"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia",
                             "America/Sao_Paulo", "Asia/Beirut", "Africa/Casablanca", "Asia/Tehran",
                             "Pacific/Kwajalein", "Antarctica/Troll", "Asia/Kathmandu", "America/Caracas"}) {
        const TableZone &table = system_zone(name);
        set_library_zone(name);
        std::vector<int64_t> changes;
        for (const Change &c : table.changes)
            if (c.from > instant("1960-01-01 00:00+00") && c.from < instant("2110-01-01 00:00+00"))
                changes.push_back(c.from);
        for (std::uint64_t seed : all_seeds) {
            SCOPED_TRACE(std::string(name) + ", seed " + std::to_string(seed));
            Random random(seed);
            for (int i = 0; i < 30; i++) {
                int64_t after = changes[random() % changes.size()] + up_to(random, 40 * 3600) - 36 * 3600;
                if (up_to(random, 4) == 0)
                    after = instant("1970-01-01 00:00+00") + static_cast<int64_t>(random() % 4000000000u);
                bool seconds = up_to(random, 19) == 0;
                compare(random, table, library_offset, seconds ? after : after / 60 * 60, 25 * 3600, seconds);
                if (HasFatalFailure()) return;
            }
        }
    }
}

// Clocks that jump by minutes to a day, to and fro, every few hours or days.
TEST(CronSearch, ZonesMadeUp) {
    for (std::uint64_t seed : seeds()) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random(seed);
        for (int i = 0; i < 500; i++) {
            const int64_t begin = 1000000000 / 60 * 60;
            TableZone table{{{std::numeric_limits<int64_t>::min(), (up_to(random, 28 * 12) - 14 * 12) * 300}}};
            for (int64_t t = begin - 4 * 86400; t < begin + 8 * 86400;) {
                t += 60 * (1 + up_to(random, up_to(random, 1) ? 300 : 4000));
                table.changes.push_back({t, (up_to(random, 28 * 12) - 14 * 12) * 300});
            }
            bool seconds = up_to(random, 9) == 0;
            int64_t after = begin + up_to(random, 4 * 86400);
            compare(random, table, [&](int64_t t) { return table.offset(t); },
                    seconds ? after : after / 60 * 60, 29 * 3600, seconds);
            if (HasFatalFailure()) return;
        }
    }
}

}  // namespace
