// Lines of the log: no value can forge a word or a line, and there are not too many of them.
#include "core/log_line.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace pgqueue;

std::string logged(std::string_view value) {
    std::string out(most_logged_bytes(value), '?');
    out.resize(write_logged(value, out.data()));
    return out;
}

TEST(LogLine, PlainWordsStandAsTheyAre) {
    EXPECT_EQ(logged("mails"), "mails");
    EXPECT_EQ(logged("a.b-c:1/2"), "a.b-c:1/2");
    EXPECT_EQ(logged("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
}

TEST(LogLine, OthersAreQuotedAndControlCharactersEscaped) {
    EXPECT_EQ(logged(""), "\"\"");
    EXPECT_EQ(logged("two words"), "\"two words\"");
    EXPECT_EQ(logged("x=1"), "\"x=1\"");
    EXPECT_EQ(logged("say \"no\""), "\"say \\\"no\\\"\"");
    EXPECT_EQ(logged("back\\slash"), "\"back\\\\slash\"");
    EXPECT_EQ(logged("one\ntask failed: task_id=1\r\t"), "\"one\\ntask failed: task_id=1\\r\\t\"");
    EXPECT_EQ(logged(std::string_view("\x01\x1b[2J\x7f\0", 7)), "\"\\x01\\x1b[2J\\x7f\\x00\"");
}

TEST(LogLine, TheRoomIsEnoughForTheWorst) {
    const std::string worst(1000, '\x01');
    EXPECT_EQ(logged(worst).size(), 4 * worst.size() + 2);
}

TEST(LinePace, AHundredInASecondAndThenTheirNumber) {
    LinePace pace;
    std::int64_t unsaid = 0;
    int lines = 0;
    for (int i = 0; i < 250; i++) lines += pace.may_write({0, 5000000 + i}, &unsaid);
    EXPECT_EQ(lines, 100);
    EXPECT_EQ(unsaid, 0);
    EXPECT_TRUE(pace.may_write({0, 6100000}, &unsaid));
    EXPECT_EQ(unsaid, 150);
    EXPECT_TRUE(pace.may_write({0, 6100001}, &unsaid));
    EXPECT_EQ(unsaid, 0);
}

}  // namespace
