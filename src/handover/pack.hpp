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
    int pages;             // of both chains
    int handed_over;       // tasks, the first ones; the scheduler reads the rows of the others
    TransactionId xid;     // of the transaction that has noted them
    bool counts_lost;      // a count found no page: all rows are read again
    CountsBasis basis;     // of the counts, before the commit
};

// Packs tasks and counts of a database and adds them to `out`, with the basis of the counts. When there is no page,
// waits up to a second. Then tasks are left out, as are those of a transaction that needs more than a sixteenth of all
// pages. Checks for interrupts.
void pack(SlotNo db, const Notes<TaskNote> &tasks, const Notes<CountNote> &counts, Packed *out);

}  // namespace pgqueue::handover
