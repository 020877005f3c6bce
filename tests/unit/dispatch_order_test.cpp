// The order of due times in the radix heap (row C39 stands on it), and fair share between namespaces (row K05).
#include "core/due_order.hpp"
#include "core/virtual_time.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

namespace {

using pgqueue::due_bucket;
using pgqueue::due_buckets;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();

TEST(DueOrder, BucketsByTheHighestBitThatDiffers) {
    EXPECT_EQ(due_bucket(100, 99), 0);
    EXPECT_EQ(due_bucket(100, 100), 0);
    EXPECT_EQ(due_bucket(100, 101), 1);
    EXPECT_EQ(due_bucket(100, 102), 2);
    EXPECT_EQ(due_bucket(0, 1), 1);
    EXPECT_EQ(due_bucket(0, most), 63);
    EXPECT_EQ(due_bucket(-1, most), 64);
    EXPECT_EQ(due_bucket(std::numeric_limits<std::int64_t>::min(), -1), 63);
}

TEST(DueOrder, EveryTimeHasABucket) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 100000; i++) {
        auto base = static_cast<std::int64_t>(random()), due = static_cast<std::int64_t>(random());
        int b = due_bucket(base, due);
        ASSERT_GE(b, 0);
        ASSERT_LT(b, due_buckets);
    }
}

TEST(DueOrder, LowerBucketsHoldEarlierTimes) {
    std::mt19937_64 random(2);
    for (int i = 0; i < 100000; i++) {
        std::int64_t base = static_cast<std::int64_t>(random() >> 8);
        std::int64_t a = base + static_cast<std::int64_t>(random() >> (8 + random() % 50)),
                     b = base + static_cast<std::int64_t>(random() >> (8 + random() % 50));
        if (due_bucket(base, a) < due_bucket(base, b)) {
            ASSERT_LT(a, b);
        }
    }
}

TEST(DueOrder, AMovedBaseKeepsOtherBucketsAndRefinesItsOwn) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 100000; i++) {
        std::int64_t base = static_cast<std::int64_t>(random() >> 8);
        auto later = [&] { return base + 1 + static_cast<std::int64_t>(random() >> (8 + random() % 50)); };
        std::int64_t least = later(), other = later();
        int bucket = due_bucket(base, least);
        if (other < least) continue;
        if (due_bucket(base, other) == bucket) {
            ASSERT_LT(due_bucket(least, other), bucket);
        } else {
            ASSERT_EQ(due_bucket(least, other), due_bucket(base, other));
        }
    }
}

// A heap as the dispatcher keeps it, without its memory: what comes out is sorted whatever goes in between.
TEST(DueOrder, ARadixHeapSorts) {
    std::mt19937_64 random(4);
    std::vector<std::int64_t> bucket[due_buckets], in, out;
    std::int64_t base = 0;
    auto add = [&](std::int64_t due) { bucket[due_bucket(base, due)].push_back(due); };
    auto take = [&]() -> bool {
        for (;;) {
            int b = 0;
            while (b < due_buckets && bucket[b].empty()) b++;
            if (b == due_buckets) return false;
            if (b == 0) {
                out.push_back(bucket[0].back());
                bucket[0].pop_back();
                return true;
            }
            std::vector<std::int64_t> moved;
            moved.swap(bucket[b]);
            base = *std::min_element(moved.begin(), moved.end());
            for (std::int64_t due : moved) add(due);
        }
    };
    for (int i = 0; i < 20000; i++) {
        std::int64_t due = base + static_cast<std::int64_t>(random() % 1000000);
        in.push_back(due);
        add(due);
        if (random() % 3 == 0) take();
    }
    while (take()) {
    }
    EXPECT_TRUE(std::is_sorted(out.begin(), out.end()));
    std::sort(in.begin(), in.end());
    EXPECT_EQ(in, out);
}

using pgqueue::rejoined_virtual_time;
using pgqueue::virtual_time_step;
using pgqueue::virtual_time_unit;

// Serves one task at a time to the namespace with the smallest virtual time; how many each got.
std::vector<int> serve(const std::vector<std::int32_t> &weights, int tasks) {
    std::vector<std::uint64_t> pass(weights.size(), 0);
    std::vector<int> got(weights.size(), 0);
    for (int i = 0; i < tasks; i++) {
        std::size_t best = 0;
        for (std::size_t k = 1; k < pass.size(); k++)
            if (pass[k] < pass[best]) best = k;
        pass[best] += virtual_time_step(1, weights[best]);
        got[best]++;
    }
    return got;
}

TEST(FairShare, K05_SharesFollowTheWeights) {
    EXPECT_EQ(serve({1, 1}, 1000), (std::vector<int>{500, 500}));
    EXPECT_EQ(serve({1, 3}, 4000), (std::vector<int>{1000, 3000}));
    std::vector<int> got = serve({1, 1000}, 100100);
    EXPECT_NEAR(got[0], 100, 1);
    EXPECT_NEAR(got[1], 100000, 1);
}

TEST(FairShare, ABatchCountsAsItsTasks) {
    for (std::int32_t weight : {1, 2, 4, 1000})
        EXPECT_EQ(virtual_time_step(32, weight), 32 * virtual_time_step(1, weight));
    EXPECT_EQ(virtual_time_step(1, 1), virtual_time_unit);
    EXPECT_EQ(virtual_time_step(0, 5), 0u);
}

TEST(FairShare, EveryTaskOfEveryWeightCosts) {
    for (std::int32_t weight = 1; weight <= 1000; weight++) {
        EXPECT_GT(virtual_time_step(1, weight), 0u);
        EXPECT_LE(virtual_time_step(1, weight), virtual_time_unit);
    }
    EXPECT_EQ(virtual_time_step(1, 0), virtual_time_unit);
    EXPECT_EQ(virtual_time_step(1, -5), virtual_time_unit);
    EXPECT_GT(virtual_time_step(1, std::numeric_limits<std::int32_t>::min()), 0u);
}

TEST(FairShare, K05_IdleTimeIsNotSavedUp) {
    EXPECT_EQ(rejoined_virtual_time(10, 5000), 5000u);
    EXPECT_EQ(rejoined_virtual_time(7000, 5000), 7000u);
}

}  // namespace
