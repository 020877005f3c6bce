// Which queue a topic of pg_background_queue has (decision: topics are free text, queue names are not).
#include "core/topic_name.hpp"

#include <gtest/gtest.h>
#include <string>

namespace {

std::string queue_of(std::string_view topic) {
    char out[pgqueue::name_limit + 1];
    pgqueue::topic_queue_name(topic, out);
    return out;
}

TEST(TopicName, A24_ATopicThatIsANameIsItsQueue) {
    EXPECT_EQ(queue_of("high_priority"), "high_priority");
    EXPECT_EQ(queue_of("t"), "t");
    EXPECT_EQ(queue_of("topics"), "topics");
    EXPECT_EQ(queue_of("topic"), "topic");
}

TEST(TopicName, A24_OtherTopicsHaveACodedOne) {
    for (const char *topic : {"High", " padded ", "7days", "späte Berichte", "default", "topic-1", "topic-", "a.b"}) {
        std::string queue = queue_of(topic);
        EXPECT_EQ(queue.substr(0, 6), "topic-") << topic;
        EXPECT_EQ(queue.size(), 22u) << topic;
        char out[pgqueue::name_limit + 1];
        EXPECT_TRUE(pgqueue::normalize_name(queue, out)) << topic;
        EXPECT_EQ(queue, out) << topic;
    }
    EXPECT_EQ(queue_of(std::string(65, 'x')).size(), 22u);
    EXPECT_EQ(queue_of(std::string(64, 'x')), std::string(64, 'x'));
}

TEST(TopicName, A24_NoTwoTopicsShareAQueue) {
    EXPECT_NE(queue_of("High"), queue_of("high"));
    EXPECT_NE(queue_of("High"), queue_of("HIGH"));
    EXPECT_NE(queue_of("default"), "default");
    // A queue's name that is a topic too is coded again.
    EXPECT_NE(queue_of(queue_of("High")), queue_of("High"));
}

// Dumps are restored elsewhere: the code never changes.
TEST(TopicName, A50_TheCodeStays) { EXPECT_EQ(queue_of("High"), "topic-9deeefd89ca8a81d"); }

}  // namespace
