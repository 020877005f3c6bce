// Finds the newest version of a row, with its buffer pinned. Inside store/ only.
#pragma once
#include "store/layout.hpp"
#include "store/rows.hpp"

namespace pgqueue::store {

struct Found {
    Relation rel;
    int slot;
    Buffer buffer;         // pinned: the version cannot be pruned away
    HeapTupleData tuple;   // points into the buffer
    ItemPointerData root;  // of the HOT chain
};

// Follows the HOT chain from `root` in the open segment. Returns false if it has no such task.
bool find_at(Relation rel, int slot, const ItemPointerData &root, Found *found);
// Pins the version that `row` was read from, in its open segment. Returns false if the version is gone.
bool find_version(Relation rel, const TaskRow &row, Found *found);
// Finds the task's row by its reference, or else by the primary keys of all segments, and opens its segment with
// `mode`. Returns false if there is no such row.
bool locate(const TaskRef &ref, LOCKMODE mode, Found *found);
// Returns the root of the HOT chain of a version. The buffer is pinned; this takes a share lock on it.
ItemPointerData root_of(Buffer buffer, HeapTuple version);
// Releases the pin and closes the relation. `unlock`: the lock to release, NoLock keeps it.
void let_go(Found *found, LOCKMODE unlock);

// Starts a new command if the present one has written the version, because a command cannot change its own version.
void settle_command(HeapTupleHeader version);

// Deletes a row, unless another transaction has changed or holds it. With `wait`, the caller must have locked the row.
TM_Result delete_version(const Found &found, bool wait);

}  // namespace pgqueue::store
