// Adds to statistics, an atomic operation for each number, and copies them. A number stays at the
// largest one that it can have. No function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::stats {

using memory::StatNo;

// How many pages of the pool histograms may take: a quarter.
inline uint32 most_times_pages() { return memory::map.shared->pages / 4; }
// Makes sure that the entry has a histogram for these times, which may take a page from the pool. Returns false if
// there is none to be had; a namespace takes at most half of what the others leave.
bool prepare_times(StatNo no, Time kind);

void add_total(StatNo no, Total kind, int64 count);
void add_cost(StatNo no, RunCost kind, int64 amount);
// Adds `count` times of one bucket, with their sum and the longest of them. Without a histogram they are only counted
// as lost.
void add_times(StatNo no, Time kind, int bucket, int64 count, int64 sum, int64 longest);

// Adds what was saved before the start of the server, unless that has been done. Called by the scheduler only. What has
// no room for a histogram is lost.
void add_saved(StatNo no, const Statistics &saved);
void add_numbers(StatNo no, const Statistics &saved);  // in any case
void expect_no_saved(StatNo no);                       // nothing was saved
inline bool is_complete(StatNo no) { return memory::map.statistics[no].saved.load() == memory::Saved::Added; }

// Copies the numbers. Without a histogram, its copy is empty.
void copy(StatNo no, Statistics *copy);
void copy_times(StatNo no, Time kind, histogram::Times *copy);

// Begins anew. arrived: the unfinished tasks, so that the totals still account for them.
void reset(StatNo no, int64 arrived);

// Gives the pages of the histograms back. Nobody may use the entry any more.
void free_times(StatNo no);

}  // namespace pgqueue::stats
