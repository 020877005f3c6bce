// Open edges, counted by namespace: an edge says that one task waits for another. A transaction reserves the edges that
// it will write, so that concurrent transactions keep the limit too. Edges that it has written or removed count from
// its commit on, like the counts of queues. A rebuild counts the rows.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::handover {

// Return a namespace's edges: committed ones, those that open transactions have reserved, and the sum of both. No lock.
int64 open_edges(SlotNo ns);
int64 asked_edges(SlotNo ns);
int64 edges_of(SlotNo ns);
// Returns the edges_of() of all other namespaces of its database.
int64 edges_beside(SlotNo ns);

// Reserves `count` edges until the (sub)transaction ends.
void ask_for_edges(SlotNo ns, int64 count);
// Counts edges that this transaction has written (negative: removed) from its commit on.
void count_edges_at_commit(SlotNo ns, int32 count);

// For the callbacks of transactions.
bool any_asked();
void end_asked(SubTransactionId sub);  // invalid: all
void hand_up_asked(SubTransactionId sub, SubTransactionId parent);

}  // namespace pgqueue::handover
