// What a transaction adds to statistics when it has committed. Rolled back, it adds nothing. A rebuild of
// the counts does not matter: nothing of this can be read from rows.
#pragma once
#include "handover/notes.hpp"
#include "memory/shared.hpp"

namespace pgqueue::handover {

// Add to the statistics at commit. They allocate in TopTransactionContext. us: microseconds; less than 0, as when a
// clock has stepped back, counts as 0.
void add_total_at_commit(StatNo stat, Total kind, int64 count);
void add_cost_at_commit(StatNo stat, RunCost kind, int64 amount);
void add_time_at_commit(StatNo stat, Time kind, int64 us);

// Makes the numbers begin anew at commit.
void reset_at_commit(StatNo stat);

// For the transaction's callbacks (transaction.cpp).
bool any_statistics();
bool were_statistics();  // since the transaction began, even if rolled back
// Takes the pages for new histograms. To be called before the commit; the rest allocates nothing.
void prepare_statistics();
void add_statistics(SlotNo db);                // db: this database's entry; -1: it has none
void forget_statistics(SubTransactionId sub);  // invalid: all
void hand_up_statistics(SubTransactionId sub, SubTransactionId parent);

}  // namespace pgqueue::handover
