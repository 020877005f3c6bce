// Counts that a transaction changes: tasks of a queue by status, open edges of a namespace.
#pragma once
#include "handover/notes.hpp"
#include "memory/shared.hpp"

namespace pgqueue::handover {

struct CountNote {
    SubTransactionId sub;
    Delta delta;
};

// A row changed status (from -1: created, to -1: removed), or has no hint any more (to `unhinted`, from -1; and back).
// Edges: edges.hpp.
void count_at_commit(SlotNo slot, int from, int to, int32 count);
// Applies a committed change of counts.
void apply_delta(const Delta &delta);
// Uncommitted change that this session has made to a count.
int64 own_count(SlotNo queue, int status);
// Unfinished tasks as this session sees them.
int64 unfinished(SlotNo queue);
int64 unfinished_of_namespace(SlotNo ns);

// For the transaction's callbacks (transaction.cpp).
const Notes<CountNote> &noted_counts();
void forget_counts(SubTransactionId sub);  // of all, when invalid
void hand_up_counts(SubTransactionId sub, SubTransactionId parent);
// At commit. Counts change at once; while the database is loading, the scheduler decides which of the packed pages its
// snapshot has seen.
void hand_over_counts(SlotNo db, PageNo *deltas);

}  // namespace pgqueue::handover
