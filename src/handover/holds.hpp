// What a transaction does with tasks of outside workers. A retain that is rolled back gives the task back at once; a
// finished task frees its lease and its place under the limits with the commit.
#pragma once
#include "dispatch/lease.hpp"

namespace pgqueue::handover {

// Gives the lease, in an entry of this process that is not Held, and takes it back, with a hint, if the
// (sub)transaction aborts. key: hash of the task's group key, 0 none.
void hold_lease(SlotNo entry, const dispatch::LeaseRequest &lease, uint64 key);
// At commit the lease ends in memory, its place under the limits is free.
void end_lease_at_commit(int64 id, int64 receipt);
// At commit the lease ends later.
void extend_lease_at_commit(int64 id, int64 receipt, const LeaseTime &time);

// For the transaction callbacks (transaction.cpp). Neither raises.
void commit_holds(SlotNo db);
void abort_holds(SubTransactionId sub);  // invalid: all
void hand_up_holds(SubTransactionId sub, SubTransactionId parent);
bool any_holds();        // also entries that are not Held yet
bool has_noted_holds();  // since the transaction began, rolled back or not
void forget_holds();

}  // namespace pgqueue::handover
