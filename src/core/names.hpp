// Names of namespaces, queues, tickers: letters, digits, _ and -, at most 64, a letter first.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgqueue {

constexpr std::size_t name_limit = 64;

constexpr std::string_view trim(std::string_view s) {
    constexpr std::string_view blanks = " \t\r\n\f\v";
    while (!s.empty() && blanks.find(s.front()) != blanks.npos) s.remove_prefix(1);
    while (!s.empty() && blanks.find(s.back()) != blanks.npos) s.remove_suffix(1);
    return s;
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Writes the trimmed, lower-cased name and a zero byte to out (name_limit + 1 bytes). False: not a valid name.
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
