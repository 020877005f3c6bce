// What is to be known of many leases: those that are over, those that are owed something, and how many a namespace has.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// What a namespace has of the leases.
struct LeaseShare {
    Share own;
    int64 used, free;  // free: for all namespaces
    int64 room() const { return share_room(own, used, free); }
    int64 limit() const { return share_limit(own, used, free); }
};
LeaseShare lease_share(const Namespace &ns);
// How many more leases the namespace may have; `reserved` entries of this session count as free. 0: the waiters are
// woken when that may have changed.
int64 lease_room(const Namespace &ns, int64 reserved);

// Is it over at that moment?
bool is_over(const Lease &lease, const pg::Moment &now);
// Copies up to `most` leases of the database that have ended at `now` and notes when the others end; a pass begins with
// from 0 and is over when it is -1.
int collect_ended(SlotNo db, const pg::Moment &now, SlotNo *from, Lease *out, int most);
// When the next one ends.
pg::Deadline next_lease_end(SlotNo db, const pg::Moment &now);

// Rows that are owed something, and leases that are over, for longer than `patience` microseconds.
struct OwedLook {
    int32 count;
    int64 first_id;  // of the one that waits longest
    int64 waited;    // how long, microseconds
};
OwedLook look_at_owed(SlotNo db, const pg::Moment &now, int64 patience);

}  // namespace pgqueue::dispatch
