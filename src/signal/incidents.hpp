// Lists of tasks that need attention: tasks that were quarantined, tasks without a handler, and tasks that failed for
// good after several attempts. Each list keeps only
// the ids of the last incident_places tasks. An id may be stale, appear twice, or come from a transaction that was
// rolled back, so readers check the task's row. And the number of repairs of shared memory. No function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// Counts a repair of shared memory. The counters stay 0 unless there is a bug.
inline void record_repair(SlotNo db, Repaired kind) {
    database(db).found.repaired[static_cast<int>(kind)].fetch_add(1);
}

// Adds the task to the list unless it is there already. Raises no error.
void record_incident(SlotNo db, Incident kind, int64 id);
// Copies the listed ids to `out`, each once, and returns how many. `out` must have room for incident_places.
int read_incidents(SlotNo db, Incident kind, int64 *out);

}  // namespace pgqueue::signal
