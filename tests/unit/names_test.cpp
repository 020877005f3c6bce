// Names of namespaces, queues and tickers (row C07).
#include "core/names.hpp"

#include <gtest/gtest.h>
#include <string>

namespace {

// The normalized name, or "refused".
std::string normalized(std::string_view raw) {
    char out[pgqueue::name_limit + 1];
    return pgqueue::normalize_name(raw, out) ? out : "refused";
}

TEST(Names, C07_TrimsAndLowersCase) {
    EXPECT_EQ(normalized("emails"), "emails");
    EXPECT_EQ(normalized(" Emails "), "emails");
    EXPECT_EQ(normalized("\t\r\n\f\vEMAILS\n"), "emails");
    EXPECT_EQ(normalized("A-b_9"), "a-b_9");
}

TEST(Names, C07_RefusesWhatIsNoName) {
    for (const char *bad : {"", " ", "1x", "-x", "_x", "a b", "a.b", "a\"b", "a'b", "é", "aé", "a\tb", "a@", "a[", "a`",
                            "a{", "a/", "a:"})
        EXPECT_EQ(normalized(bad), "refused") << '"' << bad << '"';
    EXPECT_EQ(normalized(std::string_view("a\0b", 3)), "refused");
}

TEST(Names, C07_LengthIsThatOfTheTrimmedName) {
    std::string longest(pgqueue::name_limit, 'x');
    EXPECT_EQ(normalized(longest), longest);
    EXPECT_EQ(normalized("   " + longest + "   "), longest);
    EXPECT_EQ(normalized(longest + "x"), "refused");
    EXPECT_EQ(normalized("x"), "x");
}

TEST(Names, EveryByteIsJudgedAsTheRuleSays) {
    for (int c = 0; c < 256; c++) {
        char text[2] = {'x', static_cast<char>(c)};
        bool blank = c == ' ' || (c >= '\t' && c <= '\r');
        bool inside = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                      c == '-';
        EXPECT_EQ(normalized({text, 2}) != "refused", inside || blank) << c;
        bool first = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        EXPECT_EQ(normalized({text + 1, 1}) != "refused", first) << c;
    }
}

TEST(Names, TrimKeepsWhatIsInside) {
    EXPECT_EQ(pgqueue::trim("  a b\t"), "a b");
    EXPECT_EQ(pgqueue::trim(" \t "), "");
    EXPECT_EQ(pgqueue::trim(""), "");
}

}  // namespace
