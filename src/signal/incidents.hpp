// Lists of tasks that need attention: tasks that were quarantined, and tasks without a handler. Each list keeps only
// the ids of the last incident_places tasks. An id may be stale, appear twice, or come from a transaction that was
// rolled back, so readers check the task's row. No function takes a lock.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::signal {

// Counts a repair of shared memory. The counters stay 0 unless there is a bug.
inline void record_repair(SlotNo db, Repaired kind) {
    database(db).found.repaired[static_cast<int>(kind)].fetch_add(1);
}

// Adds the task to the list unless it is there already. Raises no error.
void record_incident(SlotNo db, Incident kind, int64 id);
// Copies the listed ids to `out`, each once, and returns how many. `out` must have room for incident_places.
int read_incidents(SlotNo db, Incident kind, int64 *out);

// Records that a process of this role, or the scheduler, ended without need. Several deaths in a short time are a crash
// loop.
void record_death(Deaths *deaths);
// Returns the number of deaths of a crash loop that still lasts: at least 3, with no pause of more than 5 minutes,
// counted from the last death too. Otherwise 0.
uint32 in_loop(const Deaths &deaths, const pg::Moment &now);

}  // namespace pgqueue::signal
