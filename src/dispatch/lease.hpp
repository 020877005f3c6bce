// Leases of outside workers: which tasks are held, until when, by which session. The row says the same; this is what
// makes release fast and lets a lease end at its moment. A lease lasts by the monotonic clock; only the end of its task
// (dies_at) is a time of the wall clock.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// A lease about to be given, for the task of a popped or reserved entry.
struct LeaseRequest {
    SlotNo queue;
    GroupNo group;  // 0 none
    TaskRef ref;
    int64 receipt;
    int32 priority, attempt;
    LeaseTime time;
    TimestampTz dies;  // 0 never
    bool bound;
    Oid role;  // that retains it, InvalidOid: not known, and the session neither
    Owed owed = Owed::Nothing;
};
void add_lease(SlotNo no, const LeaseRequest &request);

// Makes an entry for a row that is owed something. The places under the limits that its task takes are the entry's from
// then on. Entries of one moment are done in their `order`. False: no entry is free.
struct OwedRow {
    SlotNo queue;
    GroupNo group;
    TaskRef ref;
    int64 receipt;
    int32 priority, attempt;
    Owed what;
    int64 order;
};
bool owe(const OwedRow &row);
// Nothing is owed to the row any more; its lease holds.
void forget_owed(int64 id, int64 receipt);
// Is the task owed a charge for an attempt that the server's crash ended?
bool is_to_be_charged(int64 id);
// Has the worker the task, claimed or popped?
bool has_hold(const WorkerSlot &worker, int64 id, int64 receipt);
// A process of this server's life has the task, by a lease or in a worker's slot.
bool is_held_by_anybody(SlotNo db, int64 id, int64 receipt);

// Copies the lease of a task (with a receipt: only that one). False: none.
bool find_lease(int64 id, Lease *out, int64 receipt = 0);
// Copies the entry with this number when it is a lease of the database; for those who look at all of them.
bool read_lease(SlotNo no, SlotNo db, Lease *out);
// Ends it in memory; false: not there, or with another receipt. The place under the limits is still taken
// (end_running).
bool take_lease_out(int64 id, int64 receipt, LimitPlace *place);
// The same, and gives the place back.
bool drop_lease(int64 id, int64 receipt);
// Its task is of another queue of the namespace now, under whose limits it takes a place instead. key: hash of its
// group key, 0 none.
void transfer_lease(int64 id, SlotNo queue, uint64 key);
// Another end for it, unless it was given a newer one: transactions may tell in another order than they had the row in.
// `extender`: the role that extends it in this session; a lease of which nobody knows who holds it becomes its own.
void set_lease_end(int64 id, int64 receipt, const LeaseTime &time, Oid extender);

// Leases are to be looked at then (monotonic).
void lower_lease_bound(SlotNo db, int64 when);
// The ends of this one are to be noticed.
void lower_lease_bound_by(SlotNo db, const LeaseTime &time, TimestampTz dies);
void clear_leases(SlotNo db);
// Ends those of queues that are dropped, and put down up to this drop: their tasks are gone.
void clear_leases_of_dropped(SlotNo db, uint64 until);

}  // namespace pgqueue::dispatch
