// Names of namespaces, queues and tickers: at most 64 letters, digits, _ and -, beginning with a letter.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgqueue {

constexpr std::size_t name_limit = 64;

// Returns the text without leading and trailing blanks.
constexpr std::string_view trim(std::string_view s) {
    constexpr std::string_view blanks = " \t\r\n\f\v";
    while (!s.empty() && blanks.find(s.front()) != blanks.npos) s.remove_prefix(1);
    while (!s.empty() && blanks.find(s.back()) != blanks.npos) s.remove_suffix(1);
    return s;
}

// Returns an ASCII letter in lower case, and any other character unchanged.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Writes the trimmed, lower-cased name and a zero byte to `out`, which has name_limit + 1 bytes. Returns false if the
// name is not valid.
constexpr bool normalize_name(std::string_view raw, char *out) {
    std::string_view s = trim(raw);
    if (s.empty() || s.size() > name_limit) return false;
    for (std::size_t i = 0; i < s.size(); i++) {
        char c = lower(s[i]);
        bool letter = c >= 'a' && c <= 'z';
        bool other = (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!letter && (i == 0 || !other)) return false;
        out[i] = c;
    }
    out[s.size()] = '\0';
    return true;
}

}  // namespace pgqueue
