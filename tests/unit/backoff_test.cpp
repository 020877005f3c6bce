// Waits between attempts (rows A13, B14, B15, C17).
#include "core/backoff.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace {

using pgqueue::Backoff;
using pgqueue::backoff_wait;

constexpr std::int64_t second = 1000000;
constexpr std::int64_t day = 86400 * second;
constexpr Backoff kinds[] = {Backoff::Exponential, Backoff::Linear, Backoff::Quadratic, Backoff::Fixed};
constexpr double nearly_one = 1 - 1e-7;  // far enough from 1 for whole microseconds

std::int64_t plain(Backoff kind, std::int64_t base, std::int64_t n, std::int64_t cap = 0) {
    return backoff_wait(kind, base, n, cap, 0, 0.5);
}

TEST(Backoff, A13_ExponentialDoubles) {
    EXPECT_EQ(plain(Backoff::Exponential, 2 * second, 1), 2 * second);
    EXPECT_EQ(plain(Backoff::Exponential, 2 * second, 2), 4 * second);
    EXPECT_EQ(plain(Backoff::Exponential, 2 * second, 3), 8 * second);
    EXPECT_EQ(plain(Backoff::Exponential, 1, 40), std::int64_t{1} << 39);
}

TEST(Backoff, C17_OtherKinds) {
    for (std::int64_t n = 1; n <= 1000; n++) {
        EXPECT_EQ(plain(Backoff::Linear, 120 * second, n), 120 * second * n);
        EXPECT_EQ(plain(Backoff::Quadratic, 120 * second, n), 120 * second * n * n);
        EXPECT_EQ(plain(Backoff::Fixed, 120 * second, n), 120 * second);
    }
}

TEST(Backoff, B15_CapHolds) {
    for (Backoff kind : kinds)
        for (std::int64_t n : {std::int64_t{1}, std::int64_t{60}, std::int64_t{32768}, (std::int64_t{1} << 31)}) {
            EXPECT_LE(plain(kind, 2 * second, n, day), day);
            EXPECT_EQ(plain(kind, 2 * day, n, day), day) << "a base above the cap";
        }
    EXPECT_EQ(plain(Backoff::Exponential, 2 * second, 60, day), day);
    EXPECT_EQ(plain(Backoff::Exponential, 2 * second, 3, 8 * second), 8 * second);
    EXPECT_EQ(plain(Backoff::Exponential, 2 * second, 3, 8 * second - 1), 8 * second - 1);
}

TEST(Backoff, B15_NeverOverflows) {
    const std::int64_t most = std::numeric_limits<std::int64_t>::max();
    for (Backoff kind : kinds)
        for (std::int64_t base : {std::int64_t{1}, second, day, most / 2, most})
            for (std::int64_t n : {std::int64_t{1}, std::int64_t{2}, std::int64_t{62}, std::int64_t{63},
                                   std::int64_t{64}, std::int64_t{65}, std::int64_t{1} << 31, most})
                for (double jitter : {0.0, 0.5, 1.0})
                    for (double random : {0.0, 0.5, nearly_one}) {
                        std::int64_t wait = backoff_wait(kind, base, n, 0, jitter, random);
                        EXPECT_GE(wait, 0);
                        // It is added to the time of now.
                        EXPECT_LT(wait, most / 2);
                    }
}

TEST(Backoff, LongerWithEveryFailure) {
    for (Backoff kind : kinds)
        for (std::int64_t n = 1; n < 200; n++) EXPECT_LE(plain(kind, second, n), plain(kind, second, n + 1));
}

TEST(Backoff, B14_JitterStaysInItsBounds) {
    // Base 8 s with half of it random: from 4 s up to but not 12 s, 8 s on the average.
    EXPECT_EQ(backoff_wait(Backoff::Exponential, 2 * second, 3, 0, 0.5, 0.0), 4 * second);
    EXPECT_LT(backoff_wait(Backoff::Exponential, 2 * second, 3, 0, 0.5, nearly_one), 12 * second);
    EXPECT_GE(backoff_wait(Backoff::Exponential, 2 * second, 3, 0, 0.5, nearly_one), 12 * second - 2);
    double sum = 0;
    constexpr int steps = 1000;
    for (int i = 0; i < steps; i++)
        sum += static_cast<double>(backoff_wait(Backoff::Exponential, 2 * second, 3, 0, 0.5, (i + 0.5) / steps));
    EXPECT_NEAR(sum / steps, 8.0 * second, 2);
    // All of it random: from nothing to twice the wait.
    EXPECT_EQ(backoff_wait(Backoff::Fixed, second, 1, 0, 1, 0.0), 0);
    EXPECT_LT(backoff_wait(Backoff::Fixed, second, 1, 0, 1, nearly_one), 2 * second);
}

TEST(Backoff, NoWaitWithoutBaseOrFailure) {
    for (Backoff kind : kinds) {
        EXPECT_EQ(plain(kind, 0, 5), 0);
        EXPECT_EQ(plain(kind, -second, 5), 0);
        EXPECT_EQ(plain(kind, second, 0), 0);
        EXPECT_EQ(plain(kind, second, -1), 0);
    }
}

TEST(Backoff, SnoozesWaitLongerUpToASecond) {
    EXPECT_EQ(pgqueue::least_snooze(0), 0);
    EXPECT_EQ(pgqueue::least_snooze(1), second / 100);
    EXPECT_EQ(pgqueue::least_snooze(100), second);
    EXPECT_EQ(pgqueue::least_snooze(1'000'000'000), second);
}

}  // namespace
