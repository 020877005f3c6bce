// Adds to the statistics of a queue, and reads them. Adding is an atomic operation for each number. No function takes a
// lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::stats {

using memory::SlotNo;

// How many pages of the pool histograms may take: a quarter.
inline uint32 most_times_pages() { return memory::map.shared->pages / 4; }
// Makes sure that the queue has a histogram for these times, which may take a page from the pool. Returns false if
// there is none to be had; a namespace takes at most half of what the others leave.
bool prepare_times(SlotNo queue, memory::Time kind);

void add_total(SlotNo queue, memory::Total kind, int64 count);
void add_cost(SlotNo queue, memory::RunCost kind, int64 amount);
// Adds `count` times of one bucket, with their sum and the longest of them. Without a histogram they are only counted
// as lost.
void add_times(SlotNo queue, memory::Time kind, int bucket, int64 count, int64 sum, int64 longest);

// A copy of a histogram.
struct TimesCopy {
    int64 counts[histogram::bucket_count];
    int64 sum, longest;
    // Returns a quantile in seconds; -1: there are no times.
    double quantile(double q) const;
};
// Copies a histogram, empty if the queue has none.
void copy_times(SlotNo queue, memory::Time kind, TimesCopy *copy);

// Gives the pages of a queue's histograms back. Nobody may use the queue any more.
void free_times(SlotNo queue);

}  // namespace pgqueue::stats
