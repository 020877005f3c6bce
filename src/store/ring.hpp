// The ring table: which segment takes new rows, which are full, which wait for truncation. Inside store/ only.
#pragma once
#include "store/segments.hpp"

namespace pgqueue::store {

struct RingRow {
    int32 generation;  // order in which segments became current
    bool current;
    bool condemned;
    TimestampTz filled;  // 0: current or free
    TransactionId xmin;  // who wrote this row last
};

struct Ring {
    RingRow slots[segment_count];
    // The one ring segment, or old-generation segment, that takes rows.
    int current_of(bool old_generation) const;
};

constexpr int first_slot(bool old_generation) { return old_generation ? ring_segments : 0; }
constexpr int end_slot(bool old_generation) { return old_generation ? segment_count : ring_segments; }
constexpr bool is_old(int slot) { return slot >= ring_segments; }

// Reads the table as committed now (own changes count). Raises when it does not have its six rows.
Ring read_ring();
Ring read_ring(Oid ring);
// Writes one slot's row; by SPI, so for the collector only. False: somebody has the row in hands.
bool write_ring(int slot, const RingRow &row);

}  // namespace pgqueue::store
