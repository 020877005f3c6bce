// The words of a task's life (row C21) and the numbers that are stored for them.
#include "core/status.hpp"

#include "core/task_ref.hpp"

#include <gtest/gtest.h>
#include <set>

namespace {

using pgqueue::AttemptEnd;
using pgqueue::Status;

constexpr Status all[] = {Status::New,    Status::Retry,   Status::Retained, Status::Released,
                          Status::Failed, Status::Expired, Status::Cancelled};

TEST(Status, C21_WordsOfTheContract) {
    const char *words[] = {"new", "retry", "retained", "released", "failed", "expired", "cancelled"};
    ASSERT_EQ(std::size(all), static_cast<std::size_t>(pgqueue::status_count));
    for (std::size_t i = 0; i < std::size(all); i++) {
        EXPECT_EQ(pgqueue::word(all[i]), words[i]);
        // What is in the rows of old databases must not change its meaning.
        EXPECT_EQ(static_cast<int>(all[i]), static_cast<int>(i));
    }
}

TEST(Status, C21_EveryStatusIsWaitingHeldOrFinished) {
    std::set<Status> waiting{Status::New, Status::Retry}, unfinished{Status::New, Status::Retry, Status::Retained};
    for (Status s : all) {
        EXPECT_EQ(pgqueue::is_waiting(s), waiting.count(s) == 1) << pgqueue::word(s);
        EXPECT_EQ(pgqueue::is_unfinished(s), unfinished.count(s) == 1) << pgqueue::word(s);
    }
}

TEST(Status, EndsOfAttempts) {
    const char *words[] = {"released", "failed", "snoozed", "lost", "cancelled", "expired"};
    ASSERT_EQ(pgqueue::attempt_end_words.size(), std::size(words));
    for (std::size_t i = 0; i < std::size(words); i++) EXPECT_EQ(pgqueue::attempt_end_words[i], words[i]);
    EXPECT_EQ(static_cast<int>(AttemptEnd::Released), 0);
    EXPECT_EQ(static_cast<int>(AttemptEnd::Expired), 5);
}

TEST(Status, FlagsShareNoBit) {
    EXPECT_EQ(pgqueue::flag_top_level + pgqueue::flag_suspect + pgqueue::flag_command,
              pgqueue::flag_top_level | pgqueue::flag_suspect | pgqueue::flag_command);
}

}  // namespace
