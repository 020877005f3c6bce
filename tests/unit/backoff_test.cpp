// Waits before a retry (A13, B14, B15, C17).
#include "core/backoff.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace {

using pgqueue::Backoff;
using pgqueue::backoff_wait;

constexpr std::int64_t second = 1000 * 1000;
constexpr std::int64_t day = 86400 * second;

TEST(Backoff, A13_ExponentialDoubles) {
    EXPECT_EQ(backoff_wait(Backoff::Exponential, 2 * second, 1, day, 0, 0), 2 * second);
    EXPECT_EQ(backoff_wait(Backoff::Exponential, 2 * second, 2, day, 0, 0), 4 * second);
    EXPECT_EQ(backoff_wait(Backoff::Exponential, 2 * second, 3, day, 0, 0), 8 * second);
}

TEST(Backoff, C17_QuadraticLinearFixed) {
    EXPECT_EQ(backoff_wait(Backoff::Quadratic, 120 * second, 1, day, 0, 0), 120 * second);
    EXPECT_EQ(backoff_wait(Backoff::Quadratic, 120 * second, 2, day, 0, 0), 480 * second);
    EXPECT_EQ(backoff_wait(Backoff::Quadratic, 120 * second, 3, day, 0, 0), 1080 * second);
    EXPECT_EQ(backoff_wait(Backoff::Linear, 120 * second, 3, day, 0, 0), 360 * second);
    EXPECT_EQ(backoff_wait(Backoff::Fixed, 120 * second, 3, day, 0, 0), 120 * second);
}

TEST(Backoff, B14_JitterSpreadsEvenlyAroundTheWait) {
    // Attempt 3 of base 2 s: 8 s, from 4 s to 12 s with jitter 0.5.
    EXPECT_EQ(backoff_wait(Backoff::Exponential, 2 * second, 3, day, 0.5, 0), 4 * second);
    EXPECT_EQ(backoff_wait(Backoff::Exponential, 2 * second, 3, day, 0.5, 0.5), 8 * second);
    EXPECT_LT(backoff_wait(Backoff::Exponential, 2 * second, 3, day, 0.5, 0.999), 12 * second);
    EXPECT_EQ(backoff_wait(Backoff::Fixed, 2 * second, 3, day, 1, 0), 0);
}

TEST(Backoff, B15_CapAndNoOverflow) {
    EXPECT_EQ(backoff_wait(Backoff::Exponential, 2 * second, 60, day, 0, 0), day);
    for (std::int64_t n : {std::int64_t{64}, std::int64_t{1000}, std::int64_t{std::numeric_limits<std::int32_t>::max()}})
        for (Backoff kind : {Backoff::Exponential, Backoff::Linear, Backoff::Quadratic, Backoff::Fixed}) {
            std::int64_t wait = backoff_wait(kind, 365 * day, n, 0, 1, 0.999);
            EXPECT_GE(wait, 0);
            EXPECT_LE(backoff_wait(kind, 365 * day, n, day, 0, 0), day);
        }
}

TEST(Backoff, NothingToWaitFor) {
    EXPECT_EQ(backoff_wait(Backoff::Exponential, 0, 5, day, 0.5, 0.5), 0);
    EXPECT_EQ(backoff_wait(Backoff::Exponential, second, 0, day, 0.5, 0.5), 0);
}

}  // namespace
