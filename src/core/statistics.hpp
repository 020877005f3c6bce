// What is counted of the tasks of a queue since the last reset. Nothing subtracts, so that the numbers only grow.
#pragma once
#include "core/histogram.hpp"

namespace pgqueue {

// Numbers of tasks. Arrived and Left are no births and ends: tasks that were moved to or from the queue, were finished
// and wait again, or were deleted before their end. With them, the sum of all is the number of unfinished tasks.
// CreatedBytes: what the created tasks take in their table, about.
enum class Total : std::uint8_t {
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
enum class RunCost : std::uint8_t {
    CpuMicros,
    WalBytes,
    BlocksHit,
    BlocksRead,
    BlocksDirtied,
    TempBytes,
    Rows,
    RunMicros  // the time itself
};
constexpr int cost_kinds = 8;

// Times, in microseconds. Wait: from the creation or the due time, the later, to the retain. Run: from there to the end
// of the attempt. Whole: from the creation to the end of the task.
enum class Time : std::uint8_t { Wait, Run, Whole };
constexpr int time_kinds = 3;

// What has statistics: a queue, its tasks whose types have none of their own, a type in a queue, a role in a namespace.
// The last two are named.
enum class StatKind : std::uint8_t { Queue, Others, Type, Role };
constexpr int named_stat_kinds = 2;
constexpr int named_index(StatKind kind) { return static_cast<int>(kind) - static_cast<int>(StatKind::Type); }

// A copy of all of them. since: a TimestampTz.
struct Statistics {
    std::int64_t totals[total_kinds];
    std::int64_t costs[cost_kinds];
    histogram::Times times[time_kinds];
    std::int64_t since;

    std::int64_t total(Total kind) const { return totals[static_cast<int>(kind)]; }
    // Returns how many tasks are unfinished by these numbers.
    std::int64_t unfinished() const {
        const std::int64_t came = histogram::sum_of(total(Total::Created), total(Total::Arrived));
        return came - total(Total::Left) - total(Total::Released) - total(Total::Failed) - total(Total::Expired) -
               total(Total::Cancelled);
    }
};

}  // namespace pgqueue
