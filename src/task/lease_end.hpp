// What becomes of a task whose lease is over, or to which the scheduler owes something because its holder is gone.
#pragma once
#include "memory/shared.hpp"
#include "task/lifecycle.hpp"

namespace pgqueue::task {

struct LeaseEnd {
    bool looked = false;  // false: the row is in somebody's hands, it is looked at again
    Place place{};        // of a task that is put back: taken after the commit
};
// The scheduler's, inside a transaction: does what the row of this entry needs. The entry goes with the commit.
LeaseEnd end_lease(const memory::Lease &lease, const pg::Moment &now);

// The time of a lease that the row tells of and that no session has given in this life of the server: it holds from now
// on for its full length, as extensions may have been lost. Whatever a session tells is newer.
memory::LeaseTime restored_time(const store::TaskRow &row);

// Charges an attempt that was executing when the server crashed. Its claim may be lost with the crash, as it was
// committed without waiting for the disk: then the row looks as if nobody had begun that attempt. False: the row is in
// somebody's hands.
bool charge_executed(int64 id, int32 attempt, TimestampTz now);

}  // namespace pgqueue::task
