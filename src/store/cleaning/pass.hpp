// The housekeeping pass. States of a segment: docs/internals/storage.md.
#pragma once
#include "store/cleaning/retention.hpp"

namespace pgqueue::store {

struct CleanReport {
    int64 removed;  // finished rows removed or archived, one by one or with a segment
    int64 archived;
    int64 moved;           // survivors copied to the old generation
    int truncated;         // segments truncated
    bool condemning_held;  // a lock keeps a segment from being condemned
    bool stuck;            // the current segment is full, and no segment was free to rotate to
    bool truncation_held;  // an old snapshot or a lock keeps one from being truncated
    bool skipped;          // a step met a lock and was left for a later pass
    TransactionId holder_xmin;
    const char *failure;  // why the pass ended early, in the caller's memory context; nullptr: it did not
};
// Callbacks of clean(), inside the transaction that makes the change. removed: for each removed row. moving, moved: for
// each moved row, before it is locked and when it has its new place.
struct CleanSink {
    void *arg;
    void (*removed)(void *arg, const TaskRow &row);
    void (*moving)(void *arg, const TaskRow &row);
    void (*moved)(void *arg, const TaskRow &row, const TaskRef &now_at);
    // The segment for new rows. Called at the start of a pass, and after a rotation has committed. Stores the value
    // where the source points to.
    void (*current)(void *arg, int slot);
};

// Runs one housekeeping pass. It rotates a full current segment, removes or archives finished rows past their
// retention, collects segments with less than a quarter of survivors, and truncates what the truncation rule allows.
// Must be called outside a transaction, in a background process. Never waits for a row or table lock of a user for
// long. A step that fails ends the pass. segment_limit: bytes at which a segment is full. at: the time to judge by.
CleanReport clean(int64 segment_limit, TimestampTz at, QueueEndLookup lookup, void *lookup_arg, const CleanSink &sink);
// Only tries to truncate condemned segments, as the end of a pass does.
CleanReport truncate();

}  // namespace pgqueue::store
