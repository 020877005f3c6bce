// Histograms of times: their buckets, and quantiles compared with sorted data (B24).
#include "core/histogram.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace pgqueue::histogram;
using Counts = std::array<std::int64_t, bucket_count>;

Counts counts_of(const std::vector<std::int64_t> &times) {
    Counts counts{};
    for (std::int64_t t : times) counts[bucket_of(t)]++;
    return counts;
}

TEST(Histogram, BucketsAreWithoutGapAndEachHasItsBounds) {
    EXPECT_EQ(lower(0), 0);
    for (int b = 0; b < bucket_count; b++) {
        EXPECT_EQ(bucket_of(lower(b) + 1), b);
        EXPECT_EQ(bucket_of(upper(b)), b);
        EXPECT_LT(lower(b), upper(b));
    }
    EXPECT_GT(upper(bucket_count - 1), std::int64_t{10} * 24 * 3600 * 1'000'000);
}

TEST(Histogram, TimesOutsideBelongToTheFirstOrLastBucket) {
    EXPECT_EQ(bucket_of(0), 0);
    EXPECT_EQ(bucket_of(-5), 0);
    EXPECT_EQ(bucket_of(std::numeric_limits<std::int64_t>::min()), 0);
    EXPECT_EQ(bucket_of(upper(bucket_count - 1) + 1), bucket_count - 1);
    EXPECT_EQ(bucket_of(std::numeric_limits<std::int64_t>::max()), bucket_count - 1);
}

TEST(Histogram, TheMiddleIsNearEveryValue) {
    for (int b = 0; b < bucket_count; b++) {
        double middle = static_cast<double>(lower(b) + 1 + upper(b)) / 2;
        EXPECT_LE(std::abs(middle - static_cast<double>(lower(b) + 1)), 0.0625 * static_cast<double>(lower(b) + 1));
        EXPECT_LE(std::abs(middle - static_cast<double>(upper(b))), 0.0625 * static_cast<double>(upper(b)));
    }
}

TEST(Histogram, EachPowerOfTwoIsABound) {
    std::vector<std::int64_t> times{1, 2, 3, 255, 256, 257, 1023, 1024, 1025, 4'000'000, 4'194'304, 4'194'305};
    Counts counts = counts_of(times);
    for (int e = 0; e < 42; e++) {
        std::int64_t bound = std::int64_t{1} << e;
        EXPECT_EQ(at_most(counts, bound), std::ranges::count_if(times, [bound](auto t) { return t <= bound; }))
            << bound;
    }
    EXPECT_EQ(total(counts), 12);
}

TEST(Histogram, AQuantileIsWithinASixteenthOfTheSortedData) {
    std::mt19937_64 random(7);
    std::lognormal_distribution<double> spread(9, 3);
    for (int size : {1, 2, 3, 10, 99, 100, 1000, 50'000}) {
        std::vector<std::int64_t> times;
        for (int i = 0; i < size; i++) times.push_back(1 + static_cast<std::int64_t>(spread(random)));
        Counts counts = counts_of(times);
        std::ranges::sort(times);
        for (double q : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
            auto rank = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(q * size)), 1, size);
            auto exact = static_cast<double>(times[static_cast<std::size_t>(rank - 1)]);
            EXPECT_NEAR(quantile(counts, q, times.back()), exact, exact * 0.0625) << size << " " << q;
        }
    }
}

TEST(Histogram, AQuantileIsNoMoreThanTheLongestTime) {
    Counts counts = counts_of({1000});
    EXPECT_EQ(quantile(counts, 0.99, 970), 970);
    EXPECT_EQ(quantile(counts_of({3}), 0.5, 3), 3);
    EXPECT_EQ(quantile(Counts{}, 0.5, 0), -1);
}

}  // namespace
