// Names of namespaces, queues and tickers (C07).
#include "core/names.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

// The normalized name, or "refused".
std::string normalized(std::string_view raw) {
    char out[pgqueue::name_limit + 1];
    return pgqueue::normalize_name(raw, out) ? out : "refused";
}

TEST(Names, C07_AreTrimmedAndLowerCased) {
    EXPECT_EQ(normalized(" Emails "), "emails");
    EXPECT_EQ(normalized("\t\nA-b_9\r"), "a-b_9");
    EXPECT_EQ(normalized("x"), "x");
}

TEST(Names, C07_BeginWithALetter) {
    for (const char *bad : {"", "   ", "1x", "_x", "-x", "a b", "a.b", "ä", "a\"b", "a'b"}) EXPECT_EQ(normalized(bad), "refused") << bad;
}

TEST(Names, C07_HaveAtMost64Letters) {
    EXPECT_EQ(normalized(std::string(64, 'q')), std::string(64, 'q'));
    EXPECT_EQ(normalized(std::string(65, 'q')), "refused");
    EXPECT_EQ(normalized(" " + std::string(64, 'Q') + " "), std::string(64, 'q'));
}

}  // namespace
