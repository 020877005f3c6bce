// A line of the log as words "key=value". A value with other than plain characters is quoted, and control characters
// are escaped: no value can forge a further word or line. And how many such lines a process writes.
#pragma once
#include "core/moment.hpp"

#include <cstdint>
#include <string_view>

namespace pgqueue {

// Returns whether a value can stand without quotes.
constexpr bool is_plain_word(std::string_view value) {
    for (char c : value)
        if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\\' || c == '=' || c == '\x7f') return false;
    return !value.empty();
}

// Writes a value to `out`, which has room for most_logged_bytes(value). Returns the number of bytes.
constexpr std::size_t most_logged_bytes(std::string_view value) { return 4 * value.size() + 2; }
constexpr std::size_t write_logged(std::string_view value, char *out) {
    constexpr char hex[] = "0123456789abcdef";
    std::size_t at = 0;
    if (is_plain_word(value)) {
        for (char c : value) out[at++] = c;
        return at;
    }
    out[at++] = '"';
    for (char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out[at++] = '\\';
            out[at++] = c;
        } else if (c == '\n' || c == '\r' || c == '\t') {
            out[at++] = '\\';
            out[at++] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
        } else if (byte < ' ' || byte == 0x7f) {
            out[at++] = '\\';
            out[at++] = 'x';
            out[at++] = hex[byte >> 4];
            out[at++] = hex[byte & 15];
        } else {
            out[at++] = c;
        }
    }
    out[at++] = '"';
    return at;
}

// At most so many lines a second.
class LinePace {
public:
    // Returns whether there may be a line now. *unsaid: how many had none since the last one.
    constexpr bool may_write(const Moment &now, std::int64_t *unsaid) {
        if (!until.passed(now)) {
            if (lines >= most_lines) {
                missed++;
                return false;
            }
        } else {
            until = now.in(1000000);
            lines = 0;
        }
        lines++;
        *unsaid = missed;
        missed = 0;
        return true;
    }

private:
    static constexpr int most_lines = 100;
    Deadline until{INT64_MIN};
    int lines = 0;
    std::int64_t missed = 0;
};

}  // namespace pgqueue
