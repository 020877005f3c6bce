// Lists of several priorities: how they are taken apart, and sorted (fault T2).
#include "core/priority_range.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

namespace {

using pgqueue::PriorityRange;
using pgqueue::sort_by_priority;

constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min(),
                       most = std::numeric_limits<std::int32_t>::max();

TEST(PriorityRange, HasItsEndsAndIsWidened) {
    PriorityRange r{5, 5};
    EXPECT_TRUE(r.one());
    EXPECT_TRUE(r.has(5));
    EXPECT_FALSE(r.has(6));
    r.widen(9);
    r.widen(-3);
    r.widen(0);
    EXPECT_FALSE(r.one());
    EXPECT_EQ(r.from, -3);
    EXPECT_EQ(r.to, 9);
    EXPECT_EQ(r.width(), 13);
    EXPECT_EQ((PriorityRange{least, most}).width(), std::int64_t{1} << 32);
}

TEST(PriorityRange, PartsFollowTheNumberOfTasksAndOfPriorities) {
    PriorityRange wide{0, 1000};
    EXPECT_EQ(wide.parts(0, 80, 64), 1);
    EXPECT_EQ(wide.parts(79, 80, 64), 1);
    EXPECT_EQ(wide.parts(800, 80, 64), 10);
    EXPECT_EQ(wide.parts(2'000'000, 80, 64), 64);
    EXPECT_EQ((PriorityRange{7, 9}).parts(2'000'000, 80, 64), 3);
    EXPECT_EQ((PriorityRange{7, 7}).parts(2'000'000, 80, 64), 1);
}

// Parts are in the order of priorities, each priority is in one of them, and all but one part of a range are smaller
// than it.
void parts_are_in_order(PriorityRange r, int parts, const std::vector<std::int32_t> &priorities) {
    int last = 0;
    for (std::int32_t p : priorities) {
        int part = r.part_of(p, parts);
        ASSERT_GE(part, last) << p;
        ASSERT_LT(part, parts) << p;
        last = part;
    }
    EXPECT_EQ(r.part_of(r.from, parts), 0);
    EXPECT_EQ(r.part_of(r.to, parts), parts - 1);
}

TEST(PriorityRange, PartsAreInOrder) {
    std::mt19937 random(1);
    for (int i = 0; i < 200; i++) {
        auto a = static_cast<std::int32_t>(random()),
             b = i % 2 == 0 ? static_cast<std::int32_t>(random()) : a + static_cast<std::int32_t>(random() % 200);
        PriorityRange r{std::min(a, b), std::max(a, b)};
        std::vector<std::int32_t> priorities{r.from, r.to};
        for (int k = 0; k < 500; k++)
            priorities.push_back(static_cast<std::int32_t>(r.from + static_cast<std::int64_t>(random()) % r.width()));
        std::sort(priorities.begin(), priorities.end());
        parts_are_in_order(r, r.parts(2 + static_cast<std::int64_t>(random() % 100000), 1, 64), priorities);
    }
    parts_are_in_order({least, most}, 64, {least, least + 1, -1, 0, 1, most - 1, most});
}

TEST(PriorityRange, WhatIsOutsideIsInTheFirstOrLastPart) {
    PriorityRange r{10, 20};
    EXPECT_EQ(r.part_of(least, 4), 0);
    EXPECT_EQ(r.part_of(9, 4), 0);
    EXPECT_EQ(r.part_of(21, 4), 3);
    EXPECT_EQ(r.part_of(most, 4), 3);
}

// Taking a range apart again and again comes to single priorities soon, however they are spread.
TEST(PriorityRange, TakingApartEnds) {
    for (int parts : {2, 64}) {
        PriorityRange r{least, most};
        int steps = 0;
        for (; !r.one(); steps++) {
            int n = r.parts(1000000, 1, parts);
            // The largest priority of the first part.
            std::int64_t low = r.from, high = r.to;
            while (low < high) {
                std::int64_t middle = low + (high - low + 1) / 2;
                if (r.part_of(static_cast<std::int32_t>(middle), n) == 0)
                    low = middle;
                else
                    high = middle - 1;
            }
            PriorityRange first{r.from, static_cast<std::int32_t>(low)};
            ASSERT_LT(first.width(), r.width());
            r = first;
        }
        EXPECT_LE(steps, parts == 2 ? 33 : 6);
    }
}

struct Entry {
    std::int32_t priority;
    int order;
};

TEST(SortByPriority, KeepsTheOrderInsideAPriority) {
    std::mt19937 random(2);
    for (int n : {0, 1, 2, 168}) {
        std::vector<Entry> entries;
        for (int i = 0; i < n; i++) entries.push_back({static_cast<std::int32_t>(random() % 20) - 10, i});
        std::vector<Entry> expected = entries;
        std::stable_sort(expected.begin(), expected.end(),
                         [](const Entry &a, const Entry &b) { return a.priority < b.priority; });
        sort_by_priority(entries.data(), n);
        for (std::size_t i = 0; i < entries.size(); i++) {
            EXPECT_EQ(entries[i].priority, expected[i].priority);
            EXPECT_EQ(entries[i].order, expected[i].order);
        }
    }
}

}  // namespace
