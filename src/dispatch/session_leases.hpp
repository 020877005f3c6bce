// Keeps track of the leases that this session was given, until it ends.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Returns whether the lease was given to this session. A later process with the same process id is another session.
// lease: a copy, or under the lease lock.
bool is_of_session(const Lease &lease);

// Called when this session ends. Ends its bound leases. Its other leases belong to no session from then on. Wakes the
// scheduler if a lease has ended. Takes the lease locks.
void end_session_leases();
// Makes this process call end_session_leases() at its end. Called before the session is given a lease.
void give_leases_back_at_exit();
#ifdef PGQUEUE_TESTPOINTS
void become_other_session();  // for tests: as if another process had the same id
#endif

// The functions below are only for dispatch/. The caller holds the lease lock, or no other process can see the entry
// yet.

// Gives a lease to this session, retained by this role.
void give_to_session(Lease *lease, Oid role);
// Called when a lease ends, of whichever session.
void take_from_session(const Lease &lease);

}  // namespace pgqueue::dispatch
