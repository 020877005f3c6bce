// Leases of outside workers: which tasks are held, until when, and by which session. The row says the same. The entry
// in memory makes release fast and lets a lease end at its time. A lease is measured by the monotonic clock. Only the
// end of its task (dies_at) is a time of the wall clock. Functions without a database use that of this process. Unless
// a comment says otherwise, a function takes the lease lock of the task.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// A lease that is to be recorded for a task.
struct LeaseRequest {
    SlotNo queue;
    GroupNo group;  // 0 none
    TaskRef ref;
    int64 receipt;
    int32 priority, attempt;
    LeaseTime time;
    TimestampTz dies;  // 0 never
    bool bound;
    Oid role;  // the role that retains it, InvalidOid: role and session are not known
    Owed owed = Owed::Nothing;
};
// Makes entry `no`, which this process has reserved or popped a task into, a Held lease that can be found by its task.
void add_lease(SlotNo no, const LeaseRequest &request);

// A row that is owed something.
struct OwedRow {
    SlotNo queue;
    GroupNo group;
    TaskRef ref;
    int64 receipt;
    int32 priority, attempt;
    Owed what;
    int64 order;  // of entries that are made at one moment: the lowest is handled first
};
// Makes an entry for such a row. From then on the entry has the places under the limits that the task takes. Returns
// false if no entry is free.
bool owe(const OwedRow &row);
// Records that nothing is owed to the row any more and that its lease holds.
void forget_owed(int64 id, int64 receipt);
// Returns whether the task is owed a charge for an attempt that the server's crash ended.
bool is_to_be_charged(int64 id);
// Returns whether the worker holds the task with this receipt, whatever the state of the hold is. Takes no lock.
bool has_hold(const WorkerSlot &worker, int64 id, int64 receipt);
// Returns the worker of this database that holds the task with this receipt, by the pid in the row; -1 none: a process
// with that pid may be another one by now. Takes no lock.
SlotNo worker_with(pid_t pid, int64 id, int64 receipt);
// Returns whether a process of this server's life has the task, by a lease or in a worker's slot.
bool is_held_by_anybody(SlotNo db, int64 id, int64 receipt);
// Returns whether outside workers hold tasks of the queue: more are held than workers of the server hold. Reads no
// leases, of which there may be a million, and takes no lock.
bool is_held_outside(SlotNo queue);

// Copies the lease of a task. receipt 0: whatever its receipt is, but not an entry that is to be put back or charged.
// Returns false if there is none.
bool find_lease(int64 id, Lease *out, int64 receipt = 0);
// Copies the entry with this number if it is a lease of the database, and returns whether it is. For callers that read
// all entries.
bool read_lease(SlotNo no, SlotNo db, Lease *out);
// Ends a lease in memory and frees its entry. *place gets the place under the limits, which is still taken; the caller
// gives it back with end_running(). Returns false if there is no lease with this receipt.
bool take_lease_out(int64 id, int64 receipt, LimitPlace *place);
// Ends a lease in memory and gives its place back. Returns false if there is no lease with this receipt. Takes the
// namespace lock where needed.
bool drop_lease(int64 id, int64 receipt);
// Moves a lease whose task is now in another queue of the namespace: its place under the limits is then in that queue.
// key: hash of the task's group key, 0 none. Takes the namespace lock where needed.
void transfer_lease(int64 id, SlotNo queue, uint64 key);
// Sets another end of a lease, unless it was given a newer one. Transactions may come here in another order than they
// had the row in. extender: the role that extends the lease in this session, InvalidOid: none. A lease whose holder is
// not known becomes a lease of this session.
void set_lease_end(int64 id, int64 receipt, const LeaseTime &time, Oid extender);

// Makes the scheduler check the leases at `when` (monotonic) at the latest. Does not wake it. Takes no lock.
void lower_lease_bound(SlotNo db, int64 when);
// Does the same for the ends of one lease: the end of its time, and the dies_at of its task (0 never).
void lower_lease_bound_by(SlotNo db, const LeaseTime &time, TimestampTz dies);
// Ends all leases of a database and gives their places back. Takes the lease locks, and namespace locks where needed.
void clear_leases(SlotNo db);
// Does the same for the leases of queues that are dropped, and put down up to the drop `until`: their tasks are gone.
void clear_leases_of_dropped(SlotNo db, uint64 until);

}  // namespace pgqueue::dispatch
