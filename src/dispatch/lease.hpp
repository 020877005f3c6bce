// Leases of outside workers: which tasks are held, until when, by which session. The row says the same; this is what
// makes release fast and lets a lease end at its moment. A lease lasts by the monotonic clock; only the end of its task
// (dies_at) is a time of the wall clock.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// Entries that this process has and that are not Held yet stand in shared memory under its name, so that they are given
// back however it ends: by return_unheld, which every abort calls, and so every exit.

constexpr int most_unheld = 128;
// Entries that sessions leave to the scheduler.
inline int32 spare_leases() { return map.shared->n_leases / 16; }
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
// Reserves entries until this process has `count` of them, at most most_unheld; returns those it has.
std::span<const SlotNo> reserve_leases(int count);
inline Lease &lease(SlotNo no) { return map.leases[no]; }
// A reserved entry is for a task that was popped; its place under the limits is taken.
void mark_popped(SlotNo no, const TaskRef &ref, SlotNo queue, GroupNo group, int32 priority);
// The task of a popped entry is not to be had: its place under the limits is free again, the entry is reserved.
void drop_popped(SlotNo no);
bool any_unheld();
// Popped tasks are first in line again, entries free. Never raises.
void return_unheld();
// Takes over what processes that are gone have left of a database, so that return_unheld gives it back; returns how
// many. There should be none.
int take_over_left(SlotNo db);
#ifdef PGQUEUE_TESTPOINTS
void leave_unheld();          // this process forgets its entries
void become_other_session();  // as if another process had the number of this one
#endif

// This session was given it. A later process with the number of the one that was is another session.
bool is_of_session(const Lease &lease);

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
// Rows that are owed something, and leases that are over, for longer than `patience` microseconds.
struct OwedLook {
    int32 count;
    int64 first_id;  // of the one that waits longest
    int64 waited;    // how long, microseconds
};
OwedLook look_at_owed(SlotNo db, const pg::Moment &now, int64 patience);

// Copies the lease of a task (with a receipt: only that one). False: none.
bool find_lease(int64 id, Lease *out, int64 receipt = 0);
// Copies the entry with this number when it is a lease of the database; for those who look at all of them.
bool read_lease(SlotNo no, SlotNo db, Lease *out);
// Ends it in memory; false: not there, or with another receipt. The place under the limits is still taken
// (end_running).
bool take_lease_out(int64 id, int64 receipt, Place *place);
// The same, and gives the place back.
bool drop_lease(int64 id, int64 receipt);
// Its task is of another queue of the namespace now, under whose limits it takes a place instead. key: hash of its
// group key, 0 none.
void move_lease_to(int64 id, SlotNo queue, uint64 key);
// Another end for it, unless it was given a newer one: transactions may tell in another order than they had the row in.
// `extender`: the role that extends it in this session; a lease of which nobody knows who holds it becomes its own.
void move_lease(int64 id, int64 receipt, const LeaseTime &time, Oid extender);

// This session is going: its bound leases are over, the others are nobody's any more; wakes the scheduler.
void end_session_leases();
// Has that done at the end of this process. Called by who is going to be given a lease.
void give_leases_back_at_exit();

// Is it over at that moment?
bool is_over(const Lease &lease, const pg::Moment &now);
// Copies up to `most` leases of the database that have ended at `now` and notes when the others end; a pass begins with
// from 0 and is over when it is -1.
int collect_ended(SlotNo db, const pg::Moment &now, SlotNo *from, Lease *out, int most);
// When the next one ends.
pg::Deadline next_lease_end(SlotNo db, const pg::Moment &now);
// Leases are to be looked at then (monotonic).
void note_lease_end(SlotNo db, int64 when);
// The ends of this one are to be noticed.
void note_lease_ends(SlotNo db, const LeaseTime &time, TimestampTz dies);
void clear_leases(SlotNo db);
// Ends those of queues that are dropped, and put down up to this drop: their tasks are gone.
void clear_leases_of_dropped(SlotNo db, uint64 until);

}  // namespace pgqueue::dispatch
