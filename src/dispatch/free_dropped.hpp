// Places in the fixed tables become free again while the server runs. An entry goes through these steps. A commit takes
// the first one, the scheduler takes the others:
//   dropped   the commit has hidden it and counted a drop
//   put down  no process can have its number (memory/users.hpp); hints that were handed over meanwhile are filed
//   empty     no task of it is held, listed, in a group or in the due heap
//   free      another object may have the place
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Frees the dropped entries of a database that can be freed. Returns whether some are left. Called by the scheduler, or
// by the launcher if the database has none. Allocates memory. Takes the locks that it needs.
bool free_dropped(SlotNo db);
// Frees all entries of a database, and its own. Its workers and its scheduler are gone. Takes the locks that it needs.
void drop_database(SlotNo db);

}  // namespace pgqueue::dispatch
