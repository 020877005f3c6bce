// Tasks that somebody should look at: those that were quarantined, those for which there was no handler. Only their ids
// are kept, the last ones of each kind: whoever reads them asks the rows whether it is still so, so an entry may be
// stale, double, or of a transaction that was rolled back.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::signal {

// Counts a repair: there should be none.
inline void note_repair(SlotNo db, Repaired kind) { database(db).found.repaired[static_cast<int>(kind)].fetch_add(1); }

// Neither waits nor raises.
void note_incident(SlotNo db, Incident kind, int64 id);
// The ids that are kept, each once; room for incident_places. Returns how many.
int read_incidents(SlotNo db, Incident kind, int64 *out);

// A process of this role, or the scheduler, ended without need. Many of these in a short time are a loop.
void note_death(Deaths *deaths);
// How many there were, when the last ones are not long ago and too many to be chance; else 0.
uint32 in_loop(const Deaths &deaths, const pg::Moment &now);

}  // namespace pgqueue::signal
