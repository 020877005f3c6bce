// Reads many leases: leases that are over, leases that are owed something, and how many leases a namespace has.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// A namespace's part of the leases.
struct LeaseShare {
    Share own;
    int64 used, free;  // free: for all namespaces, without the spare ones
    int64 room() const { return share_room(own, used, free); }
    int64 limit() const { return share_limit(own, used, free); }
};
// Reads that part. Takes no lock.
LeaseShare lease_share(const Namespace &ns);
// Returns how many more leases the namespace may have, with `reserved` entries of this session counted as free. After a
// result of 0, the next entry that becomes free wakes the schedulers of databases with waiting sessions. Takes no lock.
int64 lease_room(const Namespace &ns, int64 reserved);

// Returns whether the lease has ended at that moment, or is owed something. lease: a copy, or under the lease lock.
bool is_over(const Lease &lease, const pg::Moment &now);
// Copies up to `most` leases of the database that are over at `now`, and records when the others end. Returns how many.
// A pass begins with *from 0, and has read all entries when *from is -1. Takes the lease locks. The scheduler only.
int collect_ended(SlotNo db, const pg::Moment &now, SlotNo *from, Lease *out, int most);
// Returns when the next lease may end. Takes no lock.
pg::Deadline next_lease_end(SlotNo db, const pg::Moment &now);

// Rows that have been owed something, and leases that have been over, for more than `patience` microseconds.
struct OwedLook {
    int32 count;
    int64 first_id;  // task id of the one that waits longest
    int64 waited;    // how long, microseconds
};
// Counts these. Takes the lease locks.
OwedLook look_at_owed(SlotNo db, const pg::Moment &now, int64 patience);

}  // namespace pgqueue::dispatch
