// The ring of segment tables. States and truncation rule: docs/internals/storage.md.
#pragma once
#include "pg/atomic.hpp"
#include "pg/backend.hpp"

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

}  // namespace pgqueue::store
