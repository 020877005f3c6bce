// A histogram as a few bytes, for a row: the sum, the longest time, and for each bucket that is not empty the buckets
// since the one before and the count. Each number has 7 bits in a byte, the lowest first; the highest bit says that
// more follow (LEB128).
#pragma once
#include "core/histogram.hpp"

namespace pgqueue::histogram {

constexpr int most_packed_number = 10;
constexpr int most_packed_bytes = (2 + 2 * bucket_count) * most_packed_number;

constexpr int pack_number(std::uint64_t n, std::uint8_t *out) {
    int bytes = 0;
    for (; n >= 0x80; n >>= 7) out[bytes++] = static_cast<std::uint8_t>(n | 0x80);
    out[bytes++] = static_cast<std::uint8_t>(n);
    return bytes;
}

// Packs a histogram into `out`, which has room for most_packed_bytes. Returns the number of bytes.
constexpr int pack(const Times &times, std::uint8_t *out) {
    int bytes = pack_number(static_cast<std::uint64_t>(times.sum), out);
    bytes += pack_number(static_cast<std::uint64_t>(times.longest), out + bytes);
    for (int b = 0, last = 0; b < bucket_count; b++) {
        if (times.counts[b] == 0) continue;
        bytes += pack_number(static_cast<std::uint64_t>(b - last), out + bytes);
        bytes += pack_number(static_cast<std::uint64_t>(times.counts[b]), out + bytes);
        last = b;
    }
    return bytes;
}

// Reads packed numbers.
struct PackedReader {
    std::span<const std::uint8_t> bytes;
    bool valid = true;  // no number has lacked its end

    constexpr std::uint64_t next() {
        std::uint64_t n = 0;
        for (int i = 0; i < most_packed_number && !bytes.empty(); i++) {
            const std::uint8_t byte = bytes.front();
            bytes = bytes.subspan(1);
            n |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
            if (byte < 0x80) return n;
        }
        valid = false;
        return 0;
    }
};

// Unpacks a histogram. Returns false, and an empty histogram, if the bytes are not one.
constexpr bool unpack(std::span<const std::uint8_t> bytes, Times *times) {
    *times = Times{};
    PackedReader in{bytes};
    Times read{};
    read.sum = static_cast<std::int64_t>(in.next());
    read.longest = static_cast<std::int64_t>(in.next());
    std::uint64_t b = 0;
    while (in.valid && !in.bytes.empty()) {
        b += in.next();
        const std::uint64_t count = in.next();
        if (!in.valid || b >= bucket_count) return false;
        read.counts[b] = static_cast<std::int64_t>(count);
    }
    if (in.valid) *times = read;
    return in.valid;
}

}  // namespace pgqueue::histogram
