// Maps topics of the extension pg_background_queue to queues. Topics are free text, and queues have names.
#pragma once
#include "core/names.hpp"

namespace pgqueue {

// The queue for tasks without a topic, and for topics without settings.
constexpr std::string_view common_topic_queue = "default";
constexpr std::string_view coded_topic_prefix = "topic-";

// FNV-1a, 64 bits.
constexpr std::uint64_t hash_of_topic(std::string_view topic) {
    std::uint64_t h = 14695981039346656037u;
    for (char c : topic) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return h;
}

// Writes the queue's name and a zero byte to `out`, which has name_limit + 1 bytes: the topic itself if it is a name,
// else topic- and 16 hexadecimal digits.
constexpr void topic_queue_name(std::string_view topic, char *out) {
    bool own = normalize_name(topic, out) && std::string_view(out) == topic && topic != common_topic_queue;
    for (std::size_t i = 0;
         own && i < coded_topic_prefix.size() && i < topic.size() && topic[i] == coded_topic_prefix[i]; i++)
        if (i + 1 == coded_topic_prefix.size()) own = false;
    if (own) return;
    constexpr std::string_view digits = "0123456789abcdef";
    for (char c : coded_topic_prefix) *out++ = c;
    std::uint64_t h = hash_of_topic(topic);
    for (int shift = 60; shift >= 0; shift -= 4) *out++ = digits[(h >> shift) & 15];
    *out = '\0';
}

}  // namespace pgqueue
