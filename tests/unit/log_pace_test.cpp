// How often a process says that something does not work. W9.
#include "core/log_pace.hpp"

#include <gtest/gtest.h>

namespace {

using pgqueue::Moment;
using pgqueue::Refusals;

constexpr std::int64_t second = 1000000;

Moment at(double seconds) {
    return {0, 100 * second + static_cast<std::int64_t>(seconds * static_cast<double>(second))};
}

// Lines for a refusal every 10 ms from one second to another; told: how many they speak of.
int lines(Refusals *r, double from, double to, std::int64_t *told) {
    int n = 0;
    for (double t = from; t < to; t += 0.01) {
        std::int64_t unsaid = 0;
        if (!r->is_news(7, at(t), &unsaid)) continue;
        n++;
        *told += 1 + unsaid;
    }
    return n;
}

TEST(Refusals, SaysTheFirstAtOnceAndTheRestEverMoreSeldom) {
    Refusals r;
    std::int64_t told = 0;
    EXPECT_EQ(lines(&r, 0, 0.9, &told), 1);
    EXPECT_EQ(told, 1);
    EXPECT_EQ(lines(&r, 0.9, 10, &told), 3) << "after 1, 3 and 7 seconds";
    EXPECT_NEAR(static_cast<double>(told), 700, 5);
    EXPECT_LE(lines(&r, 10, 610, &told), 14) << "once a minute in the end";
}

TEST(Refusals, WhatComesAgainAfterAQuietTimeIsNew) {
    Refusals r;
    std::int64_t told = 0;
    lines(&r, 0, 100, &told);
    EXPECT_EQ(lines(&r, 300, 300.9, &told), 1);
    EXPECT_EQ(lines(&r, 300.9, 301.5, &told), 1) << "and is told of again after a second";
}

TEST(Refusals, KindsHaveNothingToDoWithEachOther) {
    Refusals r;
    std::int64_t unsaid = 0;
    for (std::uint64_t kind = 0; kind < 10; kind++) EXPECT_TRUE(r.is_news(kind, at(0), &unsaid));
    for (std::uint64_t kind = 0; kind < 10; kind++) EXPECT_FALSE(r.is_news(kind, at(0.5), &unsaid));
    EXPECT_TRUE(r.is_news(3, at(1), &unsaid));
    EXPECT_EQ(unsaid, 1);
}

TEST(Refusals, OfTooManyKindsTheOldestIsForgotten) {
    Refusals r;
    std::int64_t unsaid = 0;
    for (std::uint64_t kind = 0; kind < 17; kind++)
        EXPECT_TRUE(r.is_news(kind, at(0.01 * static_cast<double>(kind)), &unsaid));
    EXPECT_FALSE(r.is_news(16, at(0.3), &unsaid));
    EXPECT_FALSE(r.is_news(1, at(0.3), &unsaid));
    EXPECT_TRUE(r.is_news(0, at(0.3), &unsaid));
}

}  // namespace
