// The order of due times in the radix heap, and fair share between namespaces (K05).
#include "core/due_order.hpp"
#include "core/fair_share.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace {

TEST(DueOrder, TimesNotAfterTheBaseAreInBucketZero) {
    EXPECT_EQ(pgqueue::due_bucket(1000, 1000), 0);
    EXPECT_EQ(pgqueue::due_bucket(1000, 5), 0);
    EXPECT_GT(pgqueue::due_bucket(1000, 1001), 0);
}

TEST(DueOrder, EveryTimeFitsABucket) {
    EXPECT_LT(pgqueue::due_bucket(0, INT64_MAX), pgqueue::due_buckets);
    EXPECT_LT(pgqueue::due_bucket(INT64_MIN, INT64_MAX), pgqueue::due_buckets);
}

TEST(DueOrder, LowerBucketsAreEarlier) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 100000; i++) {
        std::int64_t base = static_cast<std::int64_t>(random() >> 2), a = base + static_cast<std::int64_t>(random() % 100000000), b = base + static_cast<std::int64_t>(random() % 100000000);
        if (pgqueue::due_bucket(base, a) < pgqueue::due_bucket(base, b)) {
            EXPECT_LT(a, b);
        }
    }
}

// The whole heap as src/dispatch/due.cpp runs it, on plain vectors: what comes out is sorted.
TEST(DueOrder, ARadixHeapSorts) {
    std::mt19937_64 random(11);
    std::vector<std::vector<std::int64_t>> buckets(pgqueue::due_buckets);
    std::vector<std::int64_t> in, out;
    std::int64_t base = 0;
    auto add = [&](std::int64_t due) { buckets[static_cast<std::size_t>(pgqueue::due_bucket(base, due))].push_back(due); };
    for (int i = 0; i < 5000; i++) {
        in.push_back(static_cast<std::int64_t>(random() % 1000000));
        add(in.back());
    }
    while (out.size() < in.size()) {
        auto first = std::find_if(buckets.begin(), buckets.end(), [](const auto &b) { return !b.empty(); });
        ASSERT_NE(first, buckets.end());
        if (first == buckets.begin()) {
            out.push_back(first->back());
            first->pop_back();
            continue;
        }
        base = *std::min_element(first->begin(), first->end());
        std::vector<std::int64_t> moved;
        moved.swap(*first);
        for (std::int64_t due : moved) {
            add(due);
            EXPECT_LT(pgqueue::due_bucket(base, due), first - buckets.begin());
        }
    }
    std::sort(in.begin(), in.end());
    EXPECT_EQ(out, in);
}

TEST(FairShare, K05_SharesFollowTheWeights) {
    const std::int32_t weights[2] = {1, 3};
    std::uint64_t passes[2] = {0, 0};
    int served[2] = {0, 0};
    for (int i = 0; i < 4000; i++) {
        int next = passes[0] <= passes[1] ? 0 : 1;
        served[next]++;
        passes[next] += pgqueue::share_step(1, weights[next]);
    }
    EXPECT_NEAR(served[0], 1000, 2);
    EXPECT_NEAR(served[1], 3000, 2);
}

TEST(FairShare, K05_WhoWasAwayHasSavedNothing) {
    EXPECT_EQ(pgqueue::share_rejoin(10, 5000), 5000u);
    EXPECT_EQ(pgqueue::share_rejoin(7000, 5000), 7000u);
    EXPECT_EQ(pgqueue::share_step(1, 0), pgqueue::share_step(1, 1));
}

}  // namespace
