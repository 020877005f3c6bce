// Statistics (core/statistics.hpp) of queues, of types in queues, and of roles in namespaces. Every transaction adds to
// them after its commit (handover/statistics). Part of shared.hpp.
#pragma once
#include "core/statistics.hpp"
#include "pg/atomic.hpp"

namespace pgqueue::memory {

// The number of an entry: that of a queue; after all queues, for each queue its tasks with types that have no entry;
// after these, the named entries.
using StatNo = int32;

// A histogram. It fills a page of the pool.
struct Times {
    pg::Atomic<int64> counts[histogram::bucket_count];
    pg::Atomic<int64> sum, longest;
};

// Whether what was saved before the start of the server has been added.
enum class Saved : uint32 { NotAdded, BeingAdded, Added };

struct StatEntry {
    pg::Atomic<int64> totals[total_kinds];
    pg::Atomic<int64> costs[cost_kinds];
    pg::Atomic<uint32> times[time_kinds];   // page of the histogram, 0: none yet
    pg::Atomic<TimestampTz> since;          // last reset
    pg::Atomic<Saved> saved;                // stats/totals
    pg::Atomic<TimestampTz> unsaved_since;  // the first change that is not saved, 0: none; worker/save_statistics
};

}  // namespace pgqueue::memory
