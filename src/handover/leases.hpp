// Applies a transaction's effect on leases of outside workers at its end. Commit frees a finished task's lease and its
// place under the limits. Abort of a retain returns the task at once.
#pragma once
#include "dispatch/lease.hpp"

namespace pgqueue::handover {

// Turns `entry`, an entry of this process that is not Held, into a lease. If the (sub)transaction aborts, the lease
// ends and the task is hinted again. key: hash of the task's group key, 0 none.
void hold_lease(SlotNo entry, const dispatch::LeaseRequest &lease, uint64 key);
// Ends the lease at commit, which frees its place under the limits.
void end_lease_at_commit(int64 id, int64 receipt);
// Extends the lease at commit to `time`.
void extend_lease_at_commit(int64 id, int64 receipt, const LeaseTime &time);

// For the callbacks of transactions (transaction.cpp). They raise nothing.
void commit_holds(SlotNo db);
void abort_holds(SubTransactionId sub);  // invalid: all
void hand_up_holds(SubTransactionId sub, SubTransactionId parent);
bool any_holds();        // also leases that are not Held yet
bool has_noted_holds();  // since the transaction began, even if rolled back
void forget_holds();

}  // namespace pgqueue::handover
