// Deadlines and moments on two clocks: what a clock that is set does to them, and times so far away that they do not
// fit. W7.
#include "core/moment.hpp"

#include <gtest/gtest.h>
#include <algorithm>

namespace {

using pgqueue::Deadline;
using pgqueue::Moment;
using pgqueue::never;

constexpr std::int64_t second = 1000000, day = 86400 * second;
constexpr Moment noon{800000000 * second, 5000 * second};
// A second later, the wall clock was set meanwhile.
constexpr Moment second_later(std::int64_t step) { return {noon.wall + second + step, noon.monotonic + second}; }

TEST(Deadline, PassesByTheMonotonicClock) {
    Deadline soon = noon.in(second);
    EXPECT_FALSE(soon.passed(noon));
    for (std::int64_t step : {-day, std::int64_t{0}, day}) EXPECT_TRUE(soon.passed(second_later(step))) << step;
    EXPECT_FALSE(noon.in(second + 1).passed(second_later(day)));
}

TEST(Deadline, OneThatWasNeverSetHasPassed) {
    EXPECT_TRUE(Deadline{}.passed(noon));
    EXPECT_TRUE(Deadline{}.passed({noon.wall, 0}));
}

TEST(Deadline, OfTheCalendarIsComputedAgainAtEachMoment) {
    std::int64_t one = noon.wall + 3600 * second;
    EXPECT_EQ(noon.until(one), noon.in(3600 * second));
    EXPECT_TRUE(second_later(day).until(one).passed(second_later(day)));
    EXPECT_EQ(second_later(-day).until(one), noon.in(3600 * second + day));
}

TEST(Deadline, NeverIsTheLast) {
    EXPECT_EQ(std::min(never, noon.in(day)), noon.in(day));
    EXPECT_EQ(noon.until(INT64_MAX), never);
    EXPECT_EQ(noon.to_wall(never.at), INT64_MAX);
    EXPECT_FALSE(never.passed({INT64_MAX, INT64_MAX - 1}));
}

TEST(Deadline, TimesThatDoNotFitAreTheEnds) {
    EXPECT_EQ(noon.in(INT64_MAX - 1), never);
    EXPECT_EQ(noon.in(second).after(INT64_MAX), never);
    EXPECT_EQ(never.after(second), never);
    // -infinity, and the first of all deadlines
    EXPECT_EQ(noon.until(INT64_MIN).at, INT64_MIN);
    EXPECT_EQ(noon.until(INT64_MIN + 1).at, INT64_MIN);
    EXPECT_TRUE(noon.until(INT64_MIN + 1).passed(noon));
    EXPECT_TRUE(Deadline{INT64_MIN}.after(day).passed({0, 0}));
}

TEST(Moment, TurnsTimesOfOneClockIntoTheOther) {
    EXPECT_EQ(noon.to_monotonic(noon.wall), noon.monotonic);
    EXPECT_EQ(noon.to_wall(noon.to_monotonic(noon.wall - day)), noon.wall - day);
}

TEST(Moment, SeesStepsOfMoreThanASecond) {
    EXPECT_EQ(second_later(day).step_since(noon), day);
    EXPECT_EQ(second_later(-day).step_since(noon), -day);
    EXPECT_EQ(second_later(second).step_since(noon), 0);
    EXPECT_EQ(second_later(-second).step_since(noon), 0);
    EXPECT_EQ(second_later(0).step_since(noon), 0);
}

}  // namespace
