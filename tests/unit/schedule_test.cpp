// Slots of tickers: periods with months and days in a zone, bounds, the newest of many, jitter (rows B40, B45, C29 to
// C33).
#include "core/schedule.hpp"
#include "lib/cron_zones.hpp"

#include <gtest/gtest.h>
#include <random>

namespace {

using namespace cron_test;
using namespace pgqueue::core;

constexpr int64_t us = 1000000, minute = 60 * us, hour = 60 * minute, day = 24 * hour;

// "2026-03-29 01:30" in UTC.
int64_t at(const char *text) {
    tm t{};
    if (strptime(text, "%Y-%m-%d %H:%M:%S", &t) == nullptr && strptime(text, "%Y-%m-%d %H:%M", &t) == nullptr)
        throw std::runtime_error(text);
    return int64_t(timegm(&t)) * us;
}
std::string shown(int64_t instant) {
    time_t t = instant / us;
    tm utc;
    char buffer[40];
    gmtime_r(&t, &utc);
    strftime(buffer, sizeof(buffer), "%Y-%m-%d %H:%M:%S", &utc);
    return buffer;
}

Schedule period(const char *anchor, int64_t months, int64_t days, int64_t micros, const char *zone = "UTC") {
    return {Schedule::Kind::Period, {}, months, days, micros, at(anchor), INT64_MIN, INT64_MAX,
            system_zone(zone).zone()};
}
Schedule cron(const char *text, const char *anchor, const char *zone = "UTC") {
    Schedule s{Schedule::Kind::Cron, {}, 0, 0, 0, at(anchor), INT64_MIN, INT64_MAX, system_zone(zone).zone()};
    CronError error;
    if (!parse_cron(text, s.cron, error)) throw std::runtime_error(error.message);
    return s;
}
std::vector<std::string> slots(const Schedule &s, const char *after, int n) {
    std::vector<std::string> all;
    int64_t t = at(after);
    for (int i = 0; i < n; i++) {
        auto next = next_slot(s, t);
        if (!next) {
            all.push_back("none");
            break;
        }
        all.push_back(shown(t = *next));
    }
    return all;
}
using Texts = std::vector<std::string>;

TEST(Period, CountsFromItsAnchorWithoutDrift) {
    Schedule s = period("2026-01-01 00:00:07", 0, 0, 10 * us);
    EXPECT_EQ(slots(s, "2025-01-01 00:00", 2), (Texts{"2026-01-01 00:00:07", "2026-01-01 00:00:17"}));
    EXPECT_EQ(slots(s, "2026-01-01 00:00:17", 1), Texts{"2026-01-01 00:00:27"});
    EXPECT_EQ(slots(s, "2036-01-01 00:00:08", 1), Texts{"2036-01-01 00:00:17"});
    s.anchor += 123456;
    EXPECT_EQ(*next_slot(s, s.anchor), s.anchor + 10 * us);
    EXPECT_EQ(*next_slot(s, s.anchor - 1), s.anchor);
}

TEST(Period, AMonthThatIsTooShortHasItsSlotOnTheLastDay) {
    Schedule s = period("2026-01-31 12:00", 1, 0, 0);
    EXPECT_EQ(slots(s, "2026-01-01 00:00", 5),
              (Texts{"2026-01-31 12:00:00", "2026-02-28 12:00:00", "2026-03-31 12:00:00", "2026-04-30 12:00:00",
                     "2026-05-31 12:00:00"}));
    EXPECT_EQ(slots(s, "2031-12-31 12:00", 3),
              (Texts{"2032-01-31 12:00:00", "2032-02-29 12:00:00", "2032-03-31 12:00:00"}));
    EXPECT_EQ(slots(period("2024-02-29 00:00", 12, 0, 0), "2026-01-01 00:00", 3),
              (Texts{"2026-02-28 00:00:00", "2027-02-28 00:00:00", "2028-02-29 00:00:00"}));
}

TEST(Period, DaysKeepTheWallClockOfTheZone) {
    Schedule s = period("2026-03-27 01:30", 0, 1, 0, "Europe/Berlin");  // 02:30 there
    // 02:30 of the 29th is jumped over: the end of the gap.
    EXPECT_EQ(slots(s, "2026-03-27 01:30", 4),
              (Texts{"2026-03-28 01:30:00", "2026-03-29 01:00:00", "2026-03-30 00:30:00", "2026-03-31 00:30:00"}));
    Schedule autumn = period("2026-10-24 00:30", 0, 1, 0, "Europe/Berlin");  // 02:30, twice on the 25th
    EXPECT_EQ(slots(autumn, "2026-10-24 00:30", 3),
              (Texts{"2026-10-25 00:30:00", "2026-10-26 01:30:00", "2026-10-27 01:30:00"}));
    // 24 hours are 24 hours.
    EXPECT_EQ(slots(period("2026-10-24 00:30", 0, 0, day, "Europe/Berlin"), "2026-10-24 00:30", 2),
              (Texts{"2026-10-25 00:30:00", "2026-10-26 00:30:00"}));
}

TEST(Bounds, NoSlotBeforeOrAfter) {
    Schedule s = cron("0 * * * *", "2026-01-01 00:00");
    s.starts = at("2026-06-01 10:00");
    s.ends = at("2026-06-01 12:00");
    EXPECT_EQ(slots(s, "2026-01-01 00:00", 5),
              (Texts{"2026-06-01 10:00:00", "2026-06-01 11:00:00", "2026-06-01 12:00:00", "none"}));
    Schedule p = period("2026-06-01 10:00", 0, 0, hour);
    p.ends = at("2026-06-01 10:59");
    EXPECT_EQ(slots(p, "2026-01-01 00:00", 5), (Texts{"2026-06-01 10:00:00", "none"}));
    p.kind = Schedule::Kind::None;
    EXPECT_FALSE(next_slot(p, 0));
}

TEST(Cron, EveryGoesOnFromTheAnchor) {
    Schedule s = cron("@every 1h30m", "2026-01-01 00:00:07");
    EXPECT_EQ(slots(s, "2025-01-01 00:00", 2), (Texts{"2026-01-01 01:30:07", "2026-01-01 03:00:07"}));
    EXPECT_EQ(slots(s, "2026-01-01 03:00:08", 1), (Texts{"2026-01-01 04:30:07"}));
}

// The same by walking through all slots.
std::vector<int64_t> walked(const Schedule &s, int64_t first, int64_t until, int most) {
    std::vector<int64_t> all;
    for (auto slot = std::optional(first); slot && *slot <= until; slot = next_slot(s, *slot)) all.push_back(*slot);
    if (all.size() > std::size_t(most)) all.erase(all.begin(), all.end() - most);
    return all;
}

TEST(NewestSlots, AreThoseThatAWalkFinds) {
    std::mt19937_64 random(20261125);
    const char *texts[] = {"*/5 * * * *", "0 9-17 * * MON-FRI", "30 2 * * *", "0 0 1 * *",
                           "* 0 29 2 *",  "*/7 * * * * *",      "@every 90s", "0 12 * * 1#1"};
    for (int i = 0; i < 3000; i++) {
        const char *zones[] = {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"};
        const char *zone = zones[random() % 4];
        Schedule s = random() % 2 == 0 ? cron(texts[random() % 8], "2026-01-01 00:00", zone)
                                       : period("2026-01-31 02:30", random() % 3, random() % 3,
                                                int64_t(random() % 4) * hour + 13 * us, zone);
        if (random() % 4 == 0) s.ends = at("2026-03-01 00:00") + int64_t(random() % 10000) * hour / 4;
        auto first = next_slot(s, at("2026-02-01 00:00") + int64_t(random() % (300 * 24)) * hour);
        if (!first) continue;
        int most = 1 + int(random() % 20);
        int64_t until = *first + int64_t(random() % 10000) * (random() % 3 == 0 ? hour / 10 : us);
        std::vector<int64_t> expected = walked(s, *first, until, most), got(most);
        got.resize(newest_slots(s, *first, until, got.data(), most));
        ASSERT_EQ(got, expected) << "round " << i;
    }
}

TEST(NewestSlots, OfManyYearsAreFoundAtOnce) {
    Schedule s = cron("* * * * * *", "2000-01-01 00:00");
    std::vector<int64_t> got(3);
    ASSERT_EQ(newest_slots(s, at("2000-01-01 00:00"), at("2026-01-01 00:00"), got.data(), 3), 3);
    EXPECT_EQ(got,
              (std::vector<int64_t>{at("2025-12-31 23:59:58"), at("2025-12-31 23:59:59"), at("2026-01-01 00:00:00")}));
}

// The first one need not be one of the schedule: fire_ticker gives a ticker without queue a slot before its start.
TEST(NewestSlots, OfOneThatBeganLongAfterTheFirstAreFoundAtOnce) {
    Schedule s = period("1000-01-01 00:00", 0, 0, us);
    s.starts = s.anchor;
    std::vector<int64_t> got(100);
    int64_t until = at("2026-01-01 00:00");
    ASSERT_EQ(newest_slots(s, s.anchor - 400 * 366 * day, until, got.data(), 100), 100);
    EXPECT_EQ(got.back(), until);
}

// So many slots of such a distance reach further than 64 bits.
TEST(NewestSlots, OfLongPeriodsAreFound) {
    for (int64_t length : {25316386448801792, 1000 * 366 * day, 500 * 366 * day}) {
        Schedule s = period("2026-01-01 00:00", 0, 0, length);
        for (int64_t until : {s.anchor, s.anchor + 20 * us, s.anchor + length}) {
            std::vector<int64_t> got(500), expected = walked(s, s.anchor, until, 500);
            got.resize(newest_slots(s, s.anchor, until, got.data(), 500));
            ASSERT_EQ(got, expected) << shown(until);
        }
    }
}

TEST(NextOfPeriod, IsTheFirstThatAWalkFinds) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 300; i++) {
        Schedule s = period("2025-12-31 02:30", random() % 14, random() % 40, int64_t(random() % 30) * hour + us,
                            random() % 2 ? "Europe/Berlin" : "America/St_Johns");
        int64_t slot = s.anchor;
        for (int k = 0; k < 40; k++) {
            auto next = next_slot(s, slot);
            ASSERT_TRUE(next);
            ASSERT_GT(*next, slot);
            int64_t between = slot + int64_t(random() % uint64_t(*next - slot));
            ASSERT_EQ(*next_slot(s, between), *next) << shown(between);
            slot = *next;
        }
    }
}

TEST(Jitter, IsTheSameEachTimeAndSpread) {
    EXPECT_EQ(jitter_of(7, 123, 0), 0);
    EXPECT_EQ(jitter_of(7, 123, 1000), jitter_of(7, 123, 1000));
    int low = 0;
    for (int i = 0; i < 10000; i++) {
        int64_t j = jitter_of(i % 10, i * minute, 1000);
        ASSERT_GE(j, 0);
        ASSERT_LT(j, 1000);
        low += j < 500;
    }
    EXPECT_NEAR(low, 5000, 300);
}

}  // namespace
