// Finds the handler of a type: the one registered for exactly that type, else the one with the longest pattern that is
// a prefix of it. Functions around handlers (before, after) run for every pattern that is a prefix of the type.
#pragma once
#include <cstddef>
#include <span>
#include <string_view>

namespace pgqueue {

// Returns whether the pattern is a prefix of the type.
constexpr bool begins(std::string_view pattern, std::string_view type) {
    return pattern.size() <= type.size() && std::string_view(type.data(), pattern.size()) == pattern;
}

// Returns the length of the longest common prefix.
constexpr std::size_t common_length(std::string_view a, std::string_view b) {
    std::size_t n = 0;
    while (n < a.size() && n < b.size() && a[n] == b[n]) n++;
    return n;
}

constexpr std::size_t no_route = static_cast<std::size_t>(-1);

// Returns the position of the longest pattern that is a prefix of `type`, or no_route. The patterns must be in
// ascending order of bytes, without duplicates. The greatest pattern that is not after the type is either a prefix of
// it, or bounds the length of any prefix by what it has in common with the type.
constexpr std::size_t longest_match(std::span<const std::string_view> patterns, std::string_view type) {
    std::size_t end = patterns.size();
    for (;;) {
        std::size_t low = 0;
        while (low < end) {
            std::size_t middle = low + (end - low) / 2;
            if (patterns[middle] <= type)
                low = middle + 1;
            else
                end = middle;
        }
        if (end == 0) return no_route;
        std::string_view candidate = patterns[end - 1];
        if (begins(candidate, type)) return end - 1;
        type = std::string_view(type.data(), common_length(candidate, type));
        end--;
    }
}

}  // namespace pgqueue
