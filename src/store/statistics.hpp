// Saved statistics of queues (table stat), which outlive the server's memory. Only the housekeeper writes them, in
// transactions of its own.
#pragma once
#include "core/statistics.hpp"
#include "pg/backend.hpp"

namespace pgqueue::store {

// The minute in which a queue last did something. A finished minute goes to the history (store/history.hpp).
struct StatMinute {
    static constexpr int count_kinds = 7;
    TimestampTz minute;                           // its start, 0: there was none
    int64 counts[count_kinds];                    // Total::Created to Total::Cancelled
    int64 depth, running;                         // unfinished and retained tasks at its end
    double wait_p50, wait_p99, run_p50, run_p99;  // in seconds, below 0: no times
};

struct SavedStatistics {
    int32 queue_id;
    TimestampTz saved_at;
    Statistics now;
    Statistics before;  // at the start of the minute; costs and the whole times are not kept
    StatMinute minute;
};

// Reads the saved statistics of a queue. Returns false if there are none.
bool read_saved(int32 queue_id, SavedStatistics *saved);
// Calls fn(const SavedStatistics &) for each queue; queue_ids: only for these, nullptr: all.
void each_saved_raw(const ArrayType *queue_ids, void (*fn)(void *, const SavedStatistics &), void *arg);
template <typename F>
void each_saved(const ArrayType *queue_ids, F &&fn) {
    each_saved_raw(
        queue_ids, [](void *f, const SavedStatistics &s) { (*static_cast<std::remove_reference_t<F> *>(f))(s); }, &fn);
}
// Writes the statistics of a queue. is_new: it has no row.
void write_saved(const SavedStatistics &saved, bool is_new);
// Removes the rows of queues that do not exist any more. Returns how many.
int64 remove_saved_of_no_queue();
// Lets one transaction at a time save statistics. Returns false if another one does.
bool lock_saving();

}  // namespace pgqueue::store
