// What a namespace may have of what all share. T2, T3, T4, T5, T6.
#include "core/share.hpp"

#include <gtest/gtest.h>

namespace {

using pgqueue::Share;
using pgqueue::share_limit;
using pgqueue::share_room;

TEST(Share, TheFairPartIsHalfOfWhatIsNotOthers) {
    EXPECT_EQ(share_limit(0, 0, 1000), 500);
    EXPECT_EQ(share_limit(0, 400, 600), 500);
    EXPECT_EQ(share_room(0, 400, 600), 100);
    EXPECT_EQ(share_room(0, 0, 1), 1) << "the last one is had by whom has none";
    EXPECT_EQ(share_room(0, 1, 1), 0) << "not by whom has as many as are free";
    EXPECT_EQ(share_room(0, 0, 0), 0);
}

TEST(Share, WhatWasHadInBetterTimesIsKept) {
    EXPECT_EQ(share_limit(0, 500, 20), 500);
    EXPECT_EQ(share_room(0, 500, 20), 0);
}

TEST(Share, IsTheSameInOneStepAsInMany) {
    for (std::int64_t all = 0; all < 60; all++)
        for (Share own : {0, 7, -7, 1, -1}) {
            std::int64_t used = 0;
            while (share_room(own, used, all - used) > 0) used++;
            EXPECT_EQ(share_room(own, 0, all), used) << all << " of number " << own;
        }
}

TEST(Share, AdminsNumberHoldsInsteadOfTheFairPart) {
    EXPECT_EQ(share_limit(900, 0, 1000), 900);
    EXPECT_EQ(share_room(900, 800, 60), 60) << "nobody has what is not there";
    EXPECT_EQ(share_room(10, 0, 1000), 10);
    EXPECT_EQ(share_room(10, 30, 1000), 0) << "a number that was lowered";
    EXPECT_EQ(share_room(INT32_MAX, 3, 1000), 1000);
}

TEST(Share, OwnersNumberOnlyLowersTheFairPart) {
    EXPECT_EQ(share_limit(-10, 0, 1000), 10);
    EXPECT_EQ(share_limit(-900, 0, 1000), 500);
    EXPECT_EQ(share_room(-10, 10, 1000), 0);
    EXPECT_EQ(share_limit(INT32_MIN, 0, 1000), 500);
}

TEST(Share, ManyThatTakeAllTheyCanLeaveSomethingForTheNext) {
    std::int64_t free = 65536;
    for (int i = 0; i < 12; i++) {
        std::int64_t taken = share_room(0, 0, free);
        ASSERT_GT(taken, 0) << "tenant " << i;
        free -= taken;
        EXPECT_GT(free, 0);
    }
}

}  // namespace
