// Packs the hand-over of a committing transaction into pages before its commit, when it may still wait and fail.
#pragma once
#include "handover/counts.hpp"

namespace pgqueue::handover {

// A hint to hand over, with the subtransaction that made it.
struct TaskNote {
    SubTransactionId sub;
    Hint hint;
};

// The packed pages of this transaction.
struct Packed {
    PageNo tasks, deltas;  // chains, newest page first
    bool out_of_pages;     // a task or count found no page: the rows are read again
    CountsBasis basis;     // of the counts, before the commit
};

// Packs tasks and counts of a database and adds them to `out`, with the basis of the counts. When the pool is empty,
// waits up to a second for pages, then sets out_of_pages. Checks for interrupts.
void pack(SlotNo db, const Notes<TaskNote> &tasks, const Notes<CountNote> &counts, Packed *out);

}  // namespace pgqueue::handover
