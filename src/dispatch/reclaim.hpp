// Places in the fixed tables become free again while the server runs. An entry goes through these steps, the
// scheduler's but for the first:
//   dropped   its commit has hidden it and counted a drop
//   put down  nobody can have its number in hands (users.hpp); what was handed over meanwhile is drained
//   empty     no task of it is held, listed, in a group or in the due heap
//   free      another object may have the place
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Frees what can be freed of a database. The scheduler only, or who has found that there is none. Returns whether
// something is left to do.
bool free_dropped(SlotNo db);
// Forgets a database: frees all its entries. Workers and scheduler of it are gone.
void drop_database(SlotNo db);

}  // namespace pgqueue::dispatch
