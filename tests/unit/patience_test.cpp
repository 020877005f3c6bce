// T1: how long the processes that serve everybody wait for somebody's lock.
#include "core/patience.hpp"

#include <gtest/gtest.h>

namespace {

using pgqueue::Patience;

constexpr std::int64_t second = 1000000;

TEST(Patience, T1_AWaitHasALimit) {
    Patience p;
    EXPECT_EQ(p.limit(5 * second), Patience::most);
    EXPECT_EQ(p.limit(5 * second), Patience::most);  // what was not wasted is left
    p.wasted(Patience::most / 2);
    EXPECT_EQ(p.limit(5 * second), Patience::most / 2);
    p.wasted(Patience::most);
    EXPECT_EQ(p.limit(5 * second), Patience::least);
}

TEST(Patience, T1_WaitsTakeAPartOfTheTime) {
    Patience p;
    std::int64_t now = second, wasted = 0;
    const std::int64_t begin = now, end = 61 * second;
    // Everything that is tried meets a lock, a thousand times a second.
    while (now < end) {
        const std::int64_t limit = p.limit(now);
        p.wasted(limit);
        wasted += limit;
        now += limit + 1000;
        ASSERT_LE(limit, Patience::most);
    }
    EXPECT_LE(wasted, Patience::most + (end - begin) * 6 / 10);
    // Twice a second: no more than its share.
    Patience q;
    wasted = 0;
    for (now = begin; now < end; now += second / 2) {
        const std::int64_t limit = q.limit(now);
        q.wasted(limit);
        wasted += limit;
    }
    EXPECT_LE(wasted, Patience::most + (end - begin) / Patience::share + second / 10);
}

TEST(Patience, T1_AQuietTimeGivesItBack) {
    Patience p;
    (void)p.limit(second);
    p.wasted(Patience::most);
    EXPECT_EQ(p.limit(second + Patience::most * Patience::share / 2), Patience::most / 2);
    EXPECT_EQ(p.limit(100 * second), Patience::most);
    // A clock that stands or goes back gives nothing.
    p.wasted(Patience::most);
    EXPECT_EQ(p.limit(100 * second), Patience::least);
    EXPECT_EQ(p.limit(99 * second), Patience::least);
}

}  // namespace
