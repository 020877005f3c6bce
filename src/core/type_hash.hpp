// The hash by which statistics know a type: FNV-1a with 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/).
#pragma once
#include <cstdint>
#include <string_view>

namespace pgqueue {

constexpr std::uint64_t no_type = 0;    // the task has none
constexpr std::uint64_t long_type = 1;  // so long that its row does not have it in plain

constexpr std::uint64_t hash_of_type(std::string_view name) {
    std::uint64_t h = 14695981039346656037ULL;
    for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return h > long_type ? h : long_type + 1;
}

}  // namespace pgqueue
