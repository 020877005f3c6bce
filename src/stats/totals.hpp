// Adds to the statistics of a queue, an atomic operation for each number, and copies them. A number stays at the
// largest one that it can have. No function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::stats {

using memory::SlotNo;

// How many pages of the pool histograms may take: a quarter.
inline uint32 most_times_pages() { return memory::map.shared->pages / 4; }
// Makes sure that the queue has a histogram for these times, which may take a page from the pool. Returns false if
// there is none to be had; a namespace takes at most half of what the others leave.
bool prepare_times(SlotNo queue, Time kind);

void add_total(SlotNo queue, Total kind, int64 count);
void add_cost(SlotNo queue, RunCost kind, int64 amount);
// Adds `count` times of one bucket, with their sum and the longest of them. Without a histogram they are only counted
// as lost.
void add_times(SlotNo queue, Time kind, int bucket, int64 count, int64 sum, int64 longest);

// Adds what was saved before the start of the server, unless that has been done. Called by the scheduler only. What has
// no room for a histogram is lost.
void add_saved(SlotNo queue, const Statistics &saved);
void expect_no_saved(SlotNo queue);  // nothing was saved
inline bool is_complete(SlotNo queue) { return memory::map.statistics[queue].saved.load() == memory::Saved::Added; }

// Copies the numbers of a queue. Without a histogram, its copy is empty.
void copy(SlotNo queue, Statistics *copy);
void copy_times(SlotNo queue, Time kind, histogram::Times *copy);

// Gives the pages of a queue's histograms back. Nobody may use the queue any more.
void free_times(SlotNo queue);

}  // namespace pgqueue::stats
