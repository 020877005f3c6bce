// Handles a task whose lease has ended, or a task whose row the scheduler owes a change because its holder is gone.
#pragma once
#include "memory/shared.hpp"
#include "store/rows.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {

struct LeaseEnd {
    bool looked = false;  // false: another transaction holds the row, try again
    Origin place{};       // of a task that is put back: use it after the commit
};
// Makes the change that the row of a lease entry needs. Called by the scheduler inside a transaction. Frees the entry,
// at the latest at commit, unless the lease still holds.
LeaseEnd end_lease(const memory::Lease &lease, const pg::Moment &now);

// Returns the time of a lease that is known from its row only, because no session has recorded it in this life of the
// server. It holds for its full length from now on, as extensions may have been lost. Any time that a session records
// is newer.
memory::LeaseTime restored_time(const store::TaskRow &row);

// Charges a crash to an attempt that was executing when the server crashed. The crash may have lost the claim, which is
// committed without waiting for the disk. Then the row looks as if the attempt had not begun. Returns false if another
// transaction holds the row.
bool charge_executed(int64 id, int32 attempt, TimestampTz now);

}  // namespace pgqueue::task
