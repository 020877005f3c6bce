// How long a task waits before its next attempt: one that failed (task/retry.cpp), and one that put itself off
// (worker/run.cpp).
#pragma once
#include <cstdint>

namespace pgqueue {

enum class Backoff { Exponential, Linear, Quadratic, Fixed };

// Returns the wait in microseconds after the n-th counted failure (n from 1): base * 2^(n-1), base * n, base * n^2 or
// base, but at most `cap` (cap <= 0: no limit). A part `jitter` (0 to 1) of it is then spread evenly around it: wait *
// (1 - jitter + 2 * jitter * random), with random in [0, 1). This may exceed the cap. Never negative, never overflows.
constexpr std::int64_t backoff_wait(Backoff kind, std::int64_t base, std::int64_t n, std::int64_t cap, double jitter,
                                    double random) {
    constexpr double most = 9.0e18;
    if (base <= 0 || n <= 0) return 0;
    double wait = static_cast<double>(base);
    switch (kind) {
        case Backoff::Exponential:
            for (std::int64_t i = 1; i < n && wait < most; i++) wait *= 2;
            break;
        case Backoff::Linear: wait *= static_cast<double>(n); break;
        case Backoff::Quadratic: wait *= static_cast<double>(n) * static_cast<double>(n); break;
        case Backoff::Fixed: break;
    }
    if (cap > 0 && wait > static_cast<double>(cap)) wait = static_cast<double>(cap);
    wait *= 1 - jitter + 2 * jitter * random;
    return wait < most / 2 ? static_cast<std::int64_t>(wait) : static_cast<std::int64_t>(most / 2);
}

// Returns the least wait in microseconds of a task that puts itself off in a worker, after `uncounted` attempts (not
// negative) that did not count: 10 ms for each, at most 1 s. Without it a task could keep a worker busy for ever.
constexpr std::int64_t least_snooze(std::int64_t uncounted) { return 10'000 * (uncounted < 100 ? uncounted : 100); }

}  // namespace pgqueue
