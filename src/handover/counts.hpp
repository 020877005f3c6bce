// Counts that a transaction changes: tasks of a queue by status, and open edges of a namespace.
#pragma once
#include "handover/notes.hpp"
#include "memory/shared.hpp"

namespace pgqueue::handover {

// A change of a count, with the subtransaction that made it.
struct CountNote {
    SubTransactionId sub;
    Delta delta;
};

// Changes counts of a queue at commit: `count` rows go from one status to another (from -1: created, to -1: removed).
// Status `awaiting` counts rows that wait for other tasks. edges.hpp uses status `edges`, with the slot of a namespace.
void count_at_commit(SlotNo slot, int from, int to, int32 count);
// Applies a committed change to the counts in shared memory. Takes no lock.
void apply_delta(const Delta &delta);
// Returns this transaction's uncommitted change of a count.
int64 own_count(SlotNo queue, int status);
// Return the number of unfinished tasks of a queue or a namespace, including this transaction's own changes. They take
// no lock.
int64 unfinished(SlotNo queue);
int64 unfinished_of_namespace(SlotNo ns);

// For the transaction's callbacks (transaction.cpp).
const Notes<CountNote> &noted_counts();
void forget_counts(SubTransactionId sub);  // invalid: all
void hand_up_counts(SubTransactionId sub, SubTransactionId parent);
// Whether the counters were complete at a moment, and how many rebuilds had begun.
struct CountsBasis {
    bool ready;
    uint32 rebuilds;
};
// Reads these. To be called before the commit: afterwards a rebuild may see its rows. db -1: not ready.
CountsBasis counts_basis(SlotNo db);
// Applies all changes after the commit, if no rebuild has seen its rows: the counters have been complete all the time
// since `before`, and no rebuild has begun. Otherwise hands over the packed pages, because the scheduler knows which
// transactions its snapshot has seen. Without a scheduler a rebuild will see the rows. `deltas` becomes empty.
void hand_over_counts(SlotNo db, const CountsBasis &before, PageNo *deltas);

}  // namespace pgqueue::handover
