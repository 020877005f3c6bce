// The relations of this database's segments as this process knows them. A condemned segment cannot be opened: it counts
// as empty (docs/internals/storage.md). Inside store/ only.
#pragma once
#include "store/segments.hpp"

namespace pgqueue::store {

struct SegmentOids {
    Oid heap, heap_key, outcome, outcome_key;
};

// Return oids, which are read again after an invalidation. Raise 42704 if the extension is not installed.
const SegmentOids &segment(int slot);
Oid ring_oid();
Oid sequence_oid();

// Opens a segment's rows or outcomes; nullptr if the segment is condemned. The lock stays if the relation is closed
// with NoLock.
Relation open_rows(int slot, LOCKMODE mode);
Relation open_outcomes(int slot, LOCKMODE mode);

// Returns whether the open segment has this block.
bool has_block(Relation rel, int slot, BlockNumber block);

// Returns the segment that takes new rows now.
int current_slot();

// Returns the number of blocks of a relation and its toast table.
int64 relation_blocks(Relation rel);

// Adds a tuple's entry to the primary key of its segment's rows or outcomes. unchanged: the update did not change the
// key.
void add_row_entry(Relation key, Relation heap, int64 id, ItemPointer tid, bool unchanged);
void add_outcome_entry(Relation key, Relation heap, int64 id, int32 attempt, ItemPointer tid);

}  // namespace pgqueue::store
