// Arithmetic of the due heap, a radix heap: a base time, and buckets by the highest bit in which a due time differs
// from the base.
#pragma once
#include <bit>
#include <cstdint>

namespace pgqueue {

constexpr int due_buckets = 65;

// Returns the bucket of a due time: 0 if it is not after the base, else the position of the highest bit that differs,
// counted from 1. Every time of a bucket is before every time of a higher bucket. If the base moves up to the earliest
// time of a bucket, all entries of that bucket move to lower ones, and no other entry moves.
constexpr int due_bucket(std::int64_t base, std::int64_t due) {
    return due <= base ? 0 : std::bit_width(static_cast<std::uint64_t>(due) ^ static_cast<std::uint64_t>(base));
}

}  // namespace pgqueue
