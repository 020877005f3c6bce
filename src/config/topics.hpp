// Settings of the extension pg_background_queue. The library of pgqueue defines them, so preloading pgqueue is enough.
// docs/from-pg_background_queue.md describes them.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::config {

extern int background_max_running;  // 0: no limit but pgqueue.max_workers

// Settings of a topic. max_running 0: no limit.
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

// Returns the settings of topics that topic_config does not name.
TopicSettings common_topic();

// Return the number of topics in topic_config and the i-th of them, in the order of the text. Names are valid until the
// setting changes.
int topic_count();
Topic topic_at(int i);
// Returns whether topic_config names the topic. Writes the topic's settings, or else those of common_topic().
bool find_topic(std::string_view name, TopicSettings *settings);

// topic_reloads() grows each time this process assigns one of these settings. topic_signature() is a hash of all their
// values, so two equal signatures mean that nothing has changed.
uint32 topic_reloads();
uint64 topic_signature();

// Defines the settings of pg_background_queue. Called by define_settings().
void define_topic_settings();

}  // namespace pgqueue::config
