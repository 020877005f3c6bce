// The ring of segment tables and the collector. State machine and truncation rule: docs/internals/storage.md.
#pragma once
#include "pg/atomic.hpp"
#include "store/rows.hpp"

namespace pgqueue::store {

constexpr int ring_segments = 4;
constexpr int old_segments = 2;
constexpr int segment_count = ring_segments + old_segments;

// Process-local choice of the segment for new rows. The owner of shared memory hands in a pointer to the shared value
// so that a rotation reaches every process at once; until then (nullptr, or value -1) the ring table is read.
void set_current_segment_source(const pg::Atomic<int32> *shared_current);

// The segment for new rows as the ring table says.
int ring_current();

// Whether nobody has locks that would keep one from reading the tasks and their queues now.
bool is_readable();

Oid segment_oid(int slot);
// Whether the segment waits for its truncation, as committed now.
bool is_condemned_now(int slot);
Oid outcome_oid(int slot);
int64 segment_bytes(int slot);

// What a scan hands out for each visible row; return false stops the scan.
using ScanCallback = bool (*)(void *arg, const TaskRow &row);
// Reads every visible row of all segments, oldest segment first, physical order inside one, under `snapshot`; no
// variable parts. Checks for interrupts; calls between_pages(arg) after each page (may be nullptr).
void scan(Snapshot snapshot, ScanCallback callback, void (*between_pages)(void *), void *arg);

// A scan in parts: where the next part begins.
struct ScanPlace {
    int slot;
    BlockNumber block;
};
// Reads the visible rows of at most so many blocks from `place` on, which moves on, under a snapshot of the caller's
// for each part: rows that move meanwhile may be missed or come twice. True: that was the last part.
bool scan_part(Snapshot snapshot, ScanPlace *place, int blocks, ScanCallback callback, void *arg);

// Hands out the waiting rows among those with the next greater ids, in their order, at most so many; returns up to
// which id all were seen, INT64_MAX: there are no more.
int64 scan_waiting(Snapshot snapshot, int64 after, int most, ScanCallback callback, void *arg);

// How a finished row of a queue ends. The rows of a queue that is gone are garbage at once: the caller says so only
// when the table of queues has no such queue.
struct QueueEnd {
    bool gone;
    int64 retention;  // microseconds after finished_at; -1 for ever
    bool archive;
};
using QueueEndLookup = QueueEnd (*)(void *arg, int32 queue_id);

struct CleanReport {
    int64 removed;  // finished rows removed or archived one by one or with a segment
    int64 archived;
    int64 moved;           // survivors copied to the old generation
    int truncated;         // segments truncated
    bool condemning_held;  // a lock keeps a segment from being condemned
    bool stuck;            // the current segment is full, and none was free to rotate to
    bool truncation_held;  // an old snapshot or a lock keeps one from being truncated
    bool skipped;          // a step met a lock and was left for a later pass
    TransactionId holder_xmin;
    const char *failure;  // why the pass ended early, in the caller's memory context; nullptr it did not
};
// Called for every row that clean() removes, inside the transaction that does it (for counters), and for rows that
// move: before one is taken in hands, and when it has its new place.
struct CleanSink {
    void *arg;
    void (*removed)(void *arg, const TaskRow &row);
    void (*moving)(void *arg, const TaskRow &row);
    void (*moved)(void *arg, const TaskRow &row, const TaskRef &now_at);
    // The segment for new rows; called at the start of a pass and after a rotation has committed: put it where the
    // source points to.
    void (*current)(void *arg, int slot);
};

// One housekeeping pass in transactions of its own (call outside a transaction, in a background process): rotates a
// full current segment, removes or archives finished rows past their retention, collects segments with less than a
// quarter of survivors, truncates what the truncation rule allows. Never waits for a row or a table lock. A step that
// fails ends the pass. segment_limit: bytes at which a segment is full. at: the time to judge by.
CleanReport clean(int64 segment_limit, TimestampTz at, QueueEndLookup lookup, void *lookup_arg, const CleanSink &sink);
// Only tries to truncate what is condemned, as the end of a pass does.
CleanReport truncate();

}  // namespace pgqueue::store
