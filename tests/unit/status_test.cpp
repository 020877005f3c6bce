// Status words: one set, in the order in which rows store them.
#include "core/status.hpp"

#include <gtest/gtest.h>

namespace {

using pgqueue::Status;

TEST(Status, C21_WordsInStoredOrder) {
    const char *expected[] = {"new", "retry", "retained", "released", "failed", "expired", "cancelled"};
    ASSERT_EQ(std::size(expected), static_cast<std::size_t>(pgqueue::status_count));
    for (int i = 0; i < pgqueue::status_count; i++) EXPECT_EQ(pgqueue::word(static_cast<Status>(i)), expected[i]);
}

TEST(Status, WaitingAndUnfinished) {
    for (int i = 0; i < pgqueue::status_count; i++) {
        Status s = static_cast<Status>(i);
        EXPECT_EQ(pgqueue::is_waiting(s), s == Status::New || s == Status::Retry);
        EXPECT_EQ(pgqueue::is_unfinished(s), i <= static_cast<int>(Status::Retained));
    }
}

TEST(Status, FlagsAreDistinctBits) {
    const int flags[] = {pgqueue::flag_top_level, pgqueue::flag_suspect, pgqueue::flag_command};
    int all = 0;
    for (int f : flags) {
        EXPECT_EQ(f & (f - 1), 0);
        EXPECT_EQ(all & f, 0);
        all |= f;
    }
}

}  // namespace
