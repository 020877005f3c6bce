// Log-linear histograms of times: 8 buckets of equal width for each power of two, so that the middle of a bucket
// differs from every value in it by at most 1/16. Bounds are whole microseconds. A bucket has the values in (lower,
// upper], as a bucket of Prometheus with the label le="upper", and each power of two is a bound.
#pragma once
#include <bit>
#include <cstdint>
#include <span>

namespace pgqueue::histogram {

constexpr int halvings = 3;        // 8 buckets for each power of two
constexpr int bucket_count = 320;  // up to 2^42 microseconds, 50 days

// Returns the bucket of a time in microseconds. Times below 1 count as 1, times that are too long for the last bucket
// belong to it.
constexpr int bucket_of(std::int64_t us) {
    if (us < 1) return 0;
    const auto below = static_cast<std::uint64_t>(us - 1);
    constexpr int whole = 1 << halvings;
    if (below < whole) return static_cast<int>(below);
    const int shift = std::bit_width(below) - 1 - halvings;
    const int bucket = (shift << halvings) + static_cast<int>(below >> shift);
    return bucket < bucket_count ? bucket : bucket_count - 1;
}

// Returns the largest time in a bucket, and the bound below it, which is the largest time of the bucket before.
constexpr std::int64_t upper(int bucket) {
    constexpr int whole = 1 << halvings;
    if (bucket < whole) return bucket + 1;
    const int shift = (bucket >> halvings) - 1;
    return static_cast<std::int64_t>((bucket & (whole - 1)) + whole + 1) << shift;
}
constexpr std::int64_t lower(int bucket) { return bucket == 0 ? 0 : upper(bucket - 1); }

// A histogram with the sum and the longest of its times, in microseconds.
struct Times {
    std::int64_t counts[bucket_count];
    std::int64_t sum, longest;
};

// Returns a + b, but no more than the largest number. Both are at least 0.
constexpr std::int64_t sum_of(std::int64_t a, std::int64_t b) {
    std::int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

// Adds the times of another histogram.
constexpr void merge(Times *to, const Times &from) {
    for (int b = 0; b < bucket_count; b++) to->counts[b] = sum_of(to->counts[b], from.counts[b]);
    to->sum = sum_of(to->sum, from.sum);
    if (from.longest > to->longest) to->longest = from.longest;
}

// Returns how many times are at most `bound`, which is a power of two.
constexpr std::int64_t at_most(std::span<const std::int64_t, bucket_count> counts, std::int64_t bound) {
    std::int64_t n = 0;
    for (int b = 0; b < bucket_count && upper(b) <= bound; b++) n = sum_of(n, counts[b]);
    return n;
}

constexpr std::int64_t total(std::span<const std::int64_t, bucket_count> counts) {
    std::int64_t n = 0;
    for (std::int64_t c : counts) n = sum_of(n, c);
    return n;
}

// Returns the quantile q (0 to 1) by the nearest rank: the middle of the bucket of the value at rank ceil(q * n), but
// no more than `most`, the longest time of all. Returns -1 if there are no times.
inline double quantile(std::span<const std::int64_t, bucket_count> counts, double q, std::int64_t most) {
    const std::int64_t n = total(counts);
    if (n <= 0) return -1;
    const double wanted = q * static_cast<double>(n);
    auto rank = wanted < static_cast<double>(n) ? static_cast<std::int64_t>(wanted) : n;
    if (rank < n && static_cast<double>(rank) < wanted) rank++;
    rank = rank < 1 ? 1 : rank;
    int b = 0;
    for (std::int64_t seen = counts[0]; b < bucket_count - 1 && seen < rank; seen = sum_of(seen, counts[b])) b++;
    const double middle = static_cast<double>(lower(b) + 1 + upper(b)) / 2;
    return middle < static_cast<double>(most) ? middle : static_cast<double>(most);
}

}  // namespace pgqueue::histogram
