// The leases that this session was given, until it ends.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// This session was given it. A later process with the number of the one that was is another session.
bool is_of_session(const Lease &lease);

// This session is going: its bound leases are over, the others are nobody's any more; wakes the scheduler.
void end_session_leases();
// Has that done at the end of this process. Called by who is going to be given a lease.
void give_leases_back_at_exit();
#ifdef PGQUEUE_TESTPOINTS
void become_other_session();  // as if another process had the number of this one
#endif

// The rest is for dispatch/ only, under the lock of the lease or before others see it.

// This session has it, retained by this role.
void give_to_session(Lease *lease, Oid role);
// It goes, from whichever session.
void take_from_session(const Lease &lease);

}  // namespace pgqueue::dispatch
