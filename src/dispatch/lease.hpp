// Leases of outside workers: which tasks are held, until when, by which session. The row says the same; this is what makes release fast and
// lets a lease end at its moment. A lease lasts by the monotonic clock; only the end of its task (dies_at) is a time of the wall clock.
#pragma once
#include "dispatch/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// A lease about to be given. false: no memory, the task must not be handed out.
struct LeaseRequest {
    SlotNo queue;
    GroupNo group;  // 0 none
    TaskRef ref;
    int64 receipt;
    int32 priority, attempt;
    LeaseTime time;
    TimestampTz dies;  // 0 never
    bool bound;
    Oid role;           // that retains it, InvalidOid: not known, and the session neither
};
bool reserve_leases(int count);   // takes entries for this process, false: not that many
void unreserve_leases();          // gives those back that were not used
void add_lease(const LeaseRequest &request);  // uses a reserved entry

// Copies the lease of a task (with a receipt: only that one). False: none.
bool find_lease(int64 id, Lease *out, int64 receipt = 0);
// Copies the entry with this number when it is a lease of the database; for those who look at all of them.
bool read_lease(SlotNo no, SlotNo db, Lease *out);
// Does the session that retained it live?
bool session_lives(const Lease &lease);
// Ends it in memory; false: not there, or with another receipt. The place under the limits is still taken (end_running).
bool take_lease_out(int64 id, int64 receipt, Place *place);
// The same, and gives the place back.
bool drop_lease(int64 id, int64 receipt);
// Its task is of another queue of the namespace now, under whose limits it takes a place instead. key: hash of its group key, 0 none.
void move_lease_to(int64 id, SlotNo queue, uint64 key);
// Another end for it, unless it was given a newer one: transactions may tell in another order than they had the row in. `extender`: the role that
// extends it in this session; a lease of which nobody knows who holds it becomes its own.
void move_lease(int64 id, int64 receipt, const LeaseTime &time, Oid extender);

// This session is going: marks its bound leases as ended and wakes the scheduler.
void end_session_leases();

// Is it over at that moment?
bool is_over(const Lease &lease, const pg::Moment &now);
// Copies up to `most` leases of the database that have ended at `now` and notes when the others end; a pass begins with from 0 and is over when it is
// -1.
int collect_ended(SlotNo db, const pg::Moment &now, SlotNo *from, Lease *out, int most);
// When the next one ends.
pg::Deadline next_lease_end(SlotNo db, const pg::Moment &now);
// Leases are to be looked at then (monotonic).
void note_lease_end(SlotNo db, int64 when);
// The ends of this one are to be noticed.
void note_lease_ends(SlotNo db, const LeaseTime &time, TimestampTz dies);
void clear_leases(SlotNo db);

}  // namespace pgqueue::dispatch
