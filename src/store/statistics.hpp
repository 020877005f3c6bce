// Saved statistics (table stat), which outlive the server's memory. Only the housekeeper writes them, in
// transactions of its own.
#pragma once
#include "core/statistics.hpp"
#include "pg/backend.hpp"

namespace pgqueue::store {

// The minute in which a queue last did something. A finished minute goes to the history (store/stat_history.hpp).
struct StatMinute {
    static constexpr int count_kinds = 7;
    TimestampTz minute;                           // its start, 0: there was none
    int64 counts[count_kinds];                    // Total::Created to Total::Cancelled
    int64 depth, running;                         // unfinished and retained tasks at its end
    double wait_p50, wait_p99, run_p50, run_p99;  // in seconds, below 0: no times
};

// Of what the statistics are.
struct StatKey {
    StatKind kind;
    int32 object_id;   // the queue; Role: the namespace
    const char *name;  // Type: its name, Role: its oid; else empty
};

struct SavedStatistics {
    StatKey key;
    TimestampTz saved_at;
    Statistics now;
    // Of a queue.
    Statistics before;  // at the start of the minute; costs and the whole times are not kept
    StatMinute minute;
};

// Reads what was saved. Returns false if there is nothing.
bool read_saved(const StatKey &key, SavedStatistics *saved);
// Calls fn(const SavedStatistics &) for all that is saved; or only for these queues with their types, and the roles of
// these namespaces: then a queue comes after its types.
void each_saved_raw(void (*fn)(void *, const SavedStatistics &), void *arg);
void each_saved_of_raw(const ArrayType *queue_ids, const ArrayType *namespace_ids,
                       void (*fn)(void *, const SavedStatistics &), void *arg);
template <typename F>
void call_with_saved(void *f, const SavedStatistics &s) {
    (*static_cast<std::remove_reference_t<F> *>(f))(s);
}
template <typename F>
void each_saved(F &&fn) {
    each_saved_raw(call_with_saved<F>, &fn);
}
template <typename F>
void each_saved_of(const ArrayType *queue_ids, const ArrayType *namespace_ids, F &&fn) {
    each_saved_of_raw(queue_ids, namespace_ids, call_with_saved<F>, &fn);
}
// Writes statistics. is_new: they have no row.
void write_saved(const SavedStatistics &saved, bool is_new);
// Removes the rows of queues and namespaces that do not exist any more. Returns how many.
int64 remove_saved_of_nothing();
// Lets one transaction at a time save statistics. Returns false if another one does.
bool lock_saving();

}  // namespace pgqueue::store
