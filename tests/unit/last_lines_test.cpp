// The last messages of a task, in fixed memory.
#include "core/last_lines.hpp"

#include <gtest/gtest.h>

namespace {

using pgqueue::LastLines;

TEST(LastLines, KeepsTheLastOnesInTheirOrder) {
    LastLines<3, 10> lines;
    EXPECT_EQ(lines.size(), 0);
    for (const char *s : {"a", "b"}) lines.add(s);
    EXPECT_EQ(lines.size(), 2);
    EXPECT_EQ(lines.forgotten(), 0);
    EXPECT_EQ(lines.line(0), "a");
    for (const char *s : {"c", "d", "e"}) lines.add(s);
    EXPECT_EQ(lines.size(), 3);
    EXPECT_EQ(lines.forgotten(), 2);
    EXPECT_EQ(lines.line(0), "c");
    EXPECT_EQ(lines.line(2), "e");
}

TEST(LastLines, CutsLongOnes) {
    LastLines<2, 4> lines;
    lines.add("0123456789");
    lines.add("");
    EXPECT_EQ(lines.line(0), "0123");
    EXPECT_EQ(lines.line(1), "");
}

TEST(LastLines, ClearForgetsAll) {
    LastLines<2, 4> lines;
    for (int i = 0; i < 5; i++) lines.add("x");
    lines.clear();
    EXPECT_EQ(lines.size(), 0);
    EXPECT_EQ(lines.forgotten(), 0);
    lines.add("y");
    EXPECT_EQ(lines.line(0), "y");
}

}  // namespace
