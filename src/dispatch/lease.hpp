// Leases of outside workers: which tasks are held, until when, by which session. The row says the same; this is what makes release fast and
// lets a lease end at its moment.
#pragma once
#include "dispatch/shared.hpp"

namespace pgqueue::dispatch {

// A lease about to be given. false: no memory, the task must not be handed out.
struct LeaseRequest {
    SlotNo queue;
    GroupNo group;  // 0 none
    TaskRef ref;
    int64 receipt;
    int32 priority, attempt;
    TimestampTz until;  // 0: with the session only
    bool bound;
    Oid role;           // that retains it, InvalidOid: not known, and the session neither
};
bool reserve_leases(int count);   // takes entries for this process, false: not that many
void unreserve_leases();          // gives those back that were not used
void add_lease(const LeaseRequest &request);  // uses a reserved entry

// Copies the lease of a task. False: none.
bool find_lease(int64 id, Lease *out);
// Copies the entry with this number when it is a lease of the database; for those who look at all of them.
bool read_lease(SlotNo no, SlotNo db, Lease *out);
// Does the session that retained it live?
bool session_lives(const Lease &lease);
// Ends it in memory; false: not there, or with another receipt. The place under the limits is still taken (end_running).
struct Place {
    SlotNo queue;
    GroupNo group;
};
bool take_lease_out(int64 id, int64 receipt, Place *place);
// The same, and gives the place back.
bool drop_lease(int64 id, int64 receipt);
// It ends at `until`. `extender`: the role that extends it in this session; a lease of which nobody knows who holds it becomes its own.
bool move_lease(int64 id, int64 receipt, TimestampTz until, Oid extender);

// This session is going: marks its bound leases as ended and wakes the scheduler.
void end_session_leases();

// Copies up to `most` leases of the database that have ended at `now`; notes when the next one ends.
int collect_ended(SlotNo db, TimestampTz now, Lease *out, int most);
int64 next_lease_end(SlotNo db);
// A lease ends then, or is to be looked at then.
void note_lease_end(SlotNo db, int64 until);
void clear_leases(SlotNo db);

}  // namespace pgqueue::dispatch
