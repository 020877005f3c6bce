// Open edges: tasks that wait for tasks, by namespace. A transaction asks for those that it is going to write, so that
// many at once keep the limit too; what it has written or removed counts from its commit on, as the counts of queues do
// (a rebuild counts the rows).
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::handover {

// Those that are committed, those that open transactions have asked for, and both. No lock.
int64 open_edges(SlotNo ns);
int64 asked_edges(SlotNo ns);
int64 edges_of(SlotNo ns);
// Those of all namespaces of its database.
int64 edges_beside(SlotNo ns);

// This transaction is going to write so many; until its end, or that of the subtransaction.
void ask_for_edges(SlotNo ns, int64 count);
// It has written so many (removed, when negative).
void count_edges_at_commit(SlotNo ns, int32 count);

// For the callbacks of transactions.
bool any_asked();
void end_asked(SubTransactionId sub);  // of all, when invalid
void hand_up_asked(SubTransactionId sub, SubTransactionId parent);

}  // namespace pgqueue::handover
