// The ring of segment tables, and the collector. State machine and truncation rule: docs/internals/storage.md.
#pragma once
#include "pg/atomic.hpp"
#include "store/rows.hpp"

namespace pgqueue::store {

constexpr int ring_segments = 4;
constexpr int old_segments = 2;
constexpr int segment_count = ring_segments + old_segments;

// Sets where this process reads which segment takes new rows. The owner of shared memory passes a pointer to the shared
// value, so that a rotation reaches every process at once. Until then (nullptr, or value -1) the ring table is read.
void set_current_segment_source(const pg::Atomic<int32> *shared_current);

// Returns the segment for new rows by the ring table.
int ring_current();

// Returns whether the tasks and their queues can be read now without waiting for a lock. Keeps the locks that it takes.
bool is_readable();

// Returns the table of a segment's rows.
Oid segment_oid(int slot);
// Returns whether the segment waits for its truncation, as committed now.
bool is_condemned_now(int slot);
// Returns the table of a segment's outcomes.
Oid outcome_oid(int slot);
// Returns the bytes of a segment: rows and outcomes, with their toast tables.
int64 segment_bytes(int slot);

// Called for each row of a scan. false stops the scan.
using ScanCallback = bool (*)(void *arg, const TaskRow &row);
// Reads every row that is visible under `snapshot`, without variable parts: segment by segment, the oldest first, each
// in physical order. Calls between_pages(arg) after each page (may be nullptr). Checks for interrupts.
void scan(Snapshot snapshot, ScanCallback callback, void (*between_pages)(void *), void *arg);

// A scan in parts: where the next part begins.
struct ScanPlace {
    int slot;
    BlockNumber block;
};
// Reads the visible rows of at most `blocks` blocks from `place` on, and advances `place`. The caller takes a snapshot
// for each part, so rows that move meanwhile may be missed or come twice. The callback's result is ignored. Returns
// true if that was the last part.
bool scan_part(Snapshot snapshot, ScanPlace *place, int blocks, ScanCallback callback, void *arg);

// Reads at most `most` rows with ids above `after`, in ascending order of ids, and calls back for those that wait.
// Returns the id up to which all were read; INT64_MAX: there are no more.
int64 scan_waiting(Snapshot snapshot, int64 after, int most, ScanCallback callback, void *arg);

// What happens to the finished rows of a queue. gone: the queue was deleted, so all its rows are garbage at once. The
// caller sets it only if the table of queues has no such queue.
struct QueueEnd {
    bool gone;
    int64 retention;  // microseconds after finished_at; -1 for ever
    bool archive;
};
using QueueEndLookup = QueueEnd (*)(void *arg, int32 queue_id);

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
