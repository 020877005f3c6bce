// The ring table: which segment takes new rows, which segments are full, and which wait for truncation. Inside store/
// only.
#pragma once
#include "store/segments.hpp"

namespace pgqueue::store {

struct RingRow {
    int32 generation;  // order in which segments became current
    bool current;
    bool condemned;
    TimestampTz filled;  // 0: current or free
    TransactionId xmin;  // the transaction that wrote this row last
};

struct Ring {
    RingRow slots[segment_count];
    // Returns the current segment of the ring, or of the old generation.
    int current_of(bool old_generation) const;
};

// The slots of a generation, from first_slot to before end_slot.
constexpr int first_slot(bool old_generation) { return old_generation ? ring_segments : 0; }
constexpr int end_slot(bool old_generation) { return old_generation ? segment_count : ring_segments; }
constexpr bool is_old(int slot) { return slot >= ring_segments; }

// Reads the table as committed now, including own changes. Raises XX001 if it does not have its six rows with one
// current segment of each generation.
Ring read_ring();
// The same for a known oid of the table.
Ring read_ring(Oid ring);
// Writes the row of one slot, by SPI; only for the collector. Returns false if another transaction holds the row.
bool write_ring(int slot, const RingRow &row);

}  // namespace pgqueue::store
