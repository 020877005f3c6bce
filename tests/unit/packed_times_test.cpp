// Histograms as bytes: what was packed comes back, and other bytes are refused.
#include "core/packed_times.hpp"

#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace pgqueue::histogram;

std::vector<std::uint8_t> packed(const Times &times) {
    std::vector<std::uint8_t> bytes(most_packed_bytes);
    bytes.resize(static_cast<std::size_t>(pack(times, bytes.data())));
    return bytes;
}

void expect_same(const Times &a, const Times &b) {
    EXPECT_EQ(a.sum, b.sum);
    EXPECT_EQ(a.longest, b.longest);
    for (int k = 0; k < bucket_count; k++) EXPECT_EQ(a.counts[k], b.counts[k]) << k;
}

TEST(PackedTimes, AnEmptyHistogramIsTwoBytes) {
    Times times{}, back;
    EXPECT_EQ(packed(times).size(), 2U);
    EXPECT_TRUE(unpack(packed(times), &back));
    expect_same(times, back);
}

TEST(PackedTimes, WhatWasPackedComesBack) {
    std::mt19937_64 random(3);
    for (int round = 0; round < 200; round++) {
        Times times{}, back;
        for (int n = round; n > 0; n--) {
            auto us = static_cast<std::int64_t>(random() >> (random() % 64));
            times.counts[bucket_of(us)]++;
            times.sum += us >> 8;
            times.longest = std::max(times.longest, us);
        }
        EXPECT_TRUE(unpack(packed(times), &back));
        expect_same(times, back);
    }
}

TEST(PackedTimes, TheLargestNumbersHaveRoom) {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    Times times{}, back;
    for (std::int64_t &c : times.counts) c = most;
    times.sum = times.longest = most;
    EXPECT_LE(packed(times).size(), static_cast<std::size_t>(most_packed_bytes));
    EXPECT_TRUE(unpack(packed(times), &back));
    expect_same(times, back);
}

TEST(PackedTimes, OtherBytesAreRefused) {
    Times times{}, back;
    times.counts[7] = 300;
    times.counts[319] = 1;
    std::vector<std::uint8_t> bytes = packed(times);
    for (std::size_t n = 0; n < bytes.size(); n++) {
        const bool whole = n == 2 || n == 5;  // after the longest time, after the first bucket
        EXPECT_EQ(unpack(std::span(bytes).first(n), &back), whole) << n;
    }
    EXPECT_FALSE(unpack(std::vector<std::uint8_t>{0, 0, 0xc0, 0x02, 1}, &back)) << "bucket 320";
    EXPECT_EQ(total(back.counts), 0);
    EXPECT_FALSE(unpack(std::vector<std::uint8_t>(30, 0xff), &back));
}

}  // namespace
