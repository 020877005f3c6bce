// Which handler a type has: B18, B19.
#include "core/route.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using pgqueue::begins;
using pgqueue::longest_match;
using pgqueue::no_route;

namespace {

// The pattern that is found, or "-".
std::string found(std::vector<std::string_view> patterns, std::string_view type) {
    std::sort(patterns.begin(), patterns.end());
    std::size_t at = longest_match(patterns, type);
    return at == no_route ? "-" : std::string(patterns[at]);
}

TEST(Route, ExactTypeWins) {
    EXPECT_EQ(found({"a:", "a:b"}, "a:b"), "a:b");
    EXPECT_EQ(found({"a:b", "a:bc"}, "a:b"), "a:b");
}

TEST(Route, LongestPatternWinsOtherwise) {
    EXPECT_EQ(found({"task:", "task:cleanup:", "task:cleanup:old"}, "task:cleanup:expired-sessions"), "task:cleanup:");
    EXPECT_EQ(found({"a", "ab", "abd"}, "abc"), "ab");
    EXPECT_EQ(found({"a", "abcd", "abce", "abcf"}, "abcx"), "a");
}

TEST(Route, APatternNeedsNoColon) { EXPECT_EQ(found({"mail"}, "mailing:weekly"), "mail"); }

TEST(Route, NothingMatches) {
    EXPECT_EQ(found({}, "a"), "-");
    EXPECT_EQ(found({"b", "c"}, "a"), "-");
    EXPECT_EQ(found({"a:b"}, "a:"), "-");
    EXPECT_EQ(found({"a"}, ""), "-");
    EXPECT_EQ(found({"zzzz"}, "zzz"), "-");
}

TEST(Route, TheEmptyPatternMatchesAll) {
    EXPECT_EQ(found({""}, "x"), "");
    EXPECT_EQ(found({"", "y"}, ""), "");
}

TEST(Route, BytesAboveAscii) {
    EXPECT_EQ(found({"z", "\xc3\xa9"}, "\xc3\xa9t\xc3\xa9"), "\xc3\xa9");
    EXPECT_EQ(found({"\xc3"}, "\xc3\xa9"), "\xc3");
}

TEST(Route, AsTheSlowWay) {
    std::mt19937 random(1);
    for (int round = 0; round < 20000; round++) {
        auto word = [&] {
            std::string s;
            for (unsigned n = random() % 6; n > 0; n--) s += static_cast<char>('a' + random() % 3);
            return s;
        };
        std::vector<std::string> texts;
        for (unsigned n = random() % 12; n > 0; n--) texts.push_back(word());
        std::sort(texts.begin(), texts.end());
        texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
        std::string type = word(), wanted = "-";
        for (const std::string &t : texts)
            if (type.compare(0, t.size(), t) == 0 && (wanted == "-" || t.size() > wanted.size())) wanted = t;
        ASSERT_EQ(found({texts.begin(), texts.end()}, type), wanted) << type;
    }
}

TEST(Route, Begins) {
    EXPECT_TRUE(begins("", ""));
    EXPECT_TRUE(begins("a:", "a:b"));
    EXPECT_FALSE(begins("a:b", "a:"));
    EXPECT_FALSE(begins("b", "ab"));
}

}  // namespace
