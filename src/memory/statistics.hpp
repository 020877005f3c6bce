// Statistics of a queue since they were last reset. Every transaction adds to them after its commit
// (handover/statistics); nothing subtracts, so that they only grow. Part of shared.hpp.
#pragma once
#include "core/histogram.hpp"
#include "pg/atomic.hpp"

namespace pgqueue::memory {

// What is counted. Arrived and Left are no births and ends: tasks that were moved to or from the queue, were finished
// and wait again, or were deleted before their end. With them, the sum of all is the number of unfinished tasks.
// CreatedBytes: what the created tasks take in their table, about.
enum class Total : uint8 {
    Created,
    Retained,
    Released,
    Failed,
    Retried,
    Expired,
    Cancelled,
    Rescued,
    DeadLettered,
    Limited,
    Arrived,
    Left,
    CreatedBytes
};
constexpr int total_kinds = 13;

// What runs have cost.
enum class RunCost : uint8 { CpuMicros, WalBytes, BlocksHit, BlocksRead, BlocksDirtied, TempBytes, Rows };
constexpr int cost_kinds = 7;

// Times, in microseconds. Wait: from the creation or the due time, the later, to the retain. Run: from there to the end
// of the attempt. Whole: from the creation to the end of the task.
enum class Time : uint8 { Wait, Run, Whole };
constexpr int time_kinds = 3;

// A histogram. It fills a page of the pool.
struct Times {
    pg::Atomic<int64> counts[histogram::bucket_count];
    pg::Atomic<int64> sum, longest;
};

struct Statistics {
    pg::Atomic<int64> totals[total_kinds];
    pg::Atomic<int64> costs[cost_kinds];
    pg::Atomic<uint32> times[time_kinds];  // page of the histogram, 0: none yet
    pg::Atomic<TimestampTz> since;         // last reset
};

}  // namespace pgqueue::memory
