// Finding a row's newest version, with its buffer pinned. Inside store/ only.
#pragma once
#include "store/layout.hpp"

namespace pgqueue::store {

struct Found {
    Relation rel;
    int slot;
    Buffer buffer;         // pinned: the version cannot be pruned away
    HeapTupleData tuple;   // points into the buffer
    ItemPointerData root;  // of the HOT chain
};

// Follows the HOT chain from root in the open segment. False: no such task there.
bool find_at(Relation rel, int slot, const ItemPointerData &root, Found *found);
// Pins the very version that `row` was read from, out of its open segment. False: it is gone.
bool find_version(Relation rel, const TaskRow &row, Found *found);
// Finds the task's row by its place, else by the primary keys; its segment is open with `mode`. False: no such row.
bool locate(const TaskRef &ref, LOCKMODE mode, Found *found);
// Root of the HOT chain that a version is in; the buffer is pinned.
ItemPointerData root_of(Buffer buffer, HeapTuple version);
// Releases the pin and closes the relation; `unlock` says which lock goes with it, NoLock keeps it.
void let_go(Found *found, LOCKMODE unlock);

// Starts a new command when the version was written by this one, which otherwise could not change it.
void settle_command(HeapTupleHeader version);

// A row that is deleted, if nobody else changes or holds it; with `wait` it must be ours already.
TM_Result delete_version(const Found &found, bool wait);

}  // namespace pgqueue::store
