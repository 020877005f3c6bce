// The relations of this database's segments as this process knows them, and opening them. A condemned segment cannot be
// opened: it counts as empty (docs/internals/storage.md). Inside store/ only.
#pragma once
#include "store/segments.hpp"

namespace pgqueue::store {

struct SegmentOids {
    Oid heap, heap_key, outcome, outcome_key;
};

// Loaded again after an invalidation. Raises when the extension is not there.
const SegmentOids &segment(int slot);
Oid ring_oid();
Oid sequence_oid();

// Opens a segment's rows or outcomes; nullptr when it is condemned. The lock stays when the relation is closed with
// NoLock.
Relation open_rows(int slot, LOCKMODE mode);
Relation open_outcomes(int slot, LOCKMODE mode);

// Whether the open segment has this block.
bool has_block(Relation rel, int slot, BlockNumber block);

// The segment for new rows now.
int current_slot();

// Blocks of a relation and its toast table.
int64 relation_blocks(Relation rel);

// Adds the entry of a tuple to the primary key of its segment's rows or outcomes.
void add_row_entry(Relation key, Relation heap, int64 id, ItemPointer tid, bool unchanged);
void add_outcome_entry(Relation key, Relation heap, int64 id, int32 attempt, ItemPointer tid);

}  // namespace pgqueue::store
