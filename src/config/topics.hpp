// The settings of extension pg_background_queue. They are the library's, so that preloading pgqueue is enough; what
// they mean is in docs/from-pg_background_queue.md.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::config {

extern int background_max_running;  // 0: no limit but pgqueue.max_workers

// Settings of a topic; limits of zero are none.
struct TopicSettings {
    int32 max_running;
    int32 retries;
    int32 delay;  // seconds
    int32 priority;
};

struct Topic {
    std::string_view name;
    TopicSettings settings;
};

// What holds for topics that topic_config does not name.
TopicSettings common_topic();

// The topics of topic_config, in its order.
int topic_count();
Topic topic_at(int i);
// Whether topic_config names it, and its settings.
bool find_topic(std::string_view name, TopicSettings *settings);

// Grows with each reload of these settings in this process, and a number that tells whether one has changed something.
uint32 topic_reloads();
uint64 topic_signature();

void define_topic_settings();

}  // namespace pgqueue::config
