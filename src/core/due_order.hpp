// Arithmetic of the due heap, a radix heap: a base time, and buckets by the highest bit in which a due time differs
// from the base.
#pragma once
#include <bit>
#include <cstdint>

namespace pgqueue {

constexpr int due_buckets = 65;

// The bucket of a due time: 0 when it is not after the base, else the number of bits up to the highest one that
// differs. Every time of a bucket is before every time of a higher one. When the base moves up to the earliest time of
// a bucket, all of that bucket go to lower ones and no other entry changes its place.
constexpr int due_bucket(std::int64_t base, std::int64_t due) {
    return due <= base ? 0 : std::bit_width(static_cast<std::uint64_t>(due) ^ static_cast<std::uint64_t>(base));
}

}  // namespace pgqueue
