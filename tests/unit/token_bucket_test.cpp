// The bucket of a rate limit. W7.
#include "core/token_bucket.hpp"

#include <gtest/gtest.h>

namespace {

using pgqueue::TokenBucket;

constexpr std::int64_t second = 1000000;

TEST(TokenBucket, FillsWithTheTimeUpToItsSize) {
    TokenBucket b{0, 10 * second};
    EXPECT_DOUBLE_EQ(b.fill(4, 3, 10 * second + second / 2), 2);
    EXPECT_DOUBLE_EQ(b.fill(4, 3, 20 * second), 3);
    EXPECT_DOUBLE_EQ(b.fill(4, 1, 20 * second), 1) << "a bucket that was made smaller";
}

TEST(TokenBucket, TimeThatDoesNotPassFillsNothingAndTakesNothing) {
    TokenBucket b{0.5, 10 * second};
    EXPECT_DOUBLE_EQ(b.fill(4, 3, 10 * second), 0.5);
    EXPECT_DOUBLE_EQ(b.fill(4, 3, 9 * second), 0.5);
    EXPECT_EQ(b.filled_at, 10 * second) << "and what was filled is not filled again";
}

TEST(TokenBucket, HasItsNextTokenWhenItSays) {
    for (double rate : {0.001, 0.3, 1.0, 7.0, 1000.0, 1e6}) {
        TokenBucket b{0.25, 10 * second};
        std::int64_t next = b.next(rate);
        EXPECT_GT(next, b.filled_at);
        EXPECT_GE(b.fill(rate, 1, next), 1 - 1e-9) << rate;
    }
}

TEST(TokenBucket, WaitsAgainWhenItIsNotQuiteFull) {
    TokenBucket b{1 - 1e-12, 10 * second};
    EXPECT_GT(b.next(1000), b.filled_at) << "each wait takes time";
}

TEST(TokenBucket, HardlyEverIsNoOverflow) {
    TokenBucket b{0, 10 * second};
    EXPECT_GT(b.next(1e-300), 10 * second);
    EXPECT_GT(b.next(1e-12), 10 * second);
}

TEST(TokenBucket, TakesBackWhatWasNotUsed) {
    TokenBucket b{0.5, 0};
    b.give_back(2);
    EXPECT_DOUBLE_EQ(b.tokens, 1.5);
    b.give_back(2);
    EXPECT_DOUBLE_EQ(b.tokens, 2);
}

}  // namespace
