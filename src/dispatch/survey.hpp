// Reads since when the first tasks of queues wait. In a survey of all queues a lock is taken once for many of them, and
// no row is read. The times are those of pages: a page keeps the time of its first task, also when that has gone, and
// begins anew when the rows are read again. So a caller that shows a time reads the rows of the tasks.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

constexpr SlotNo every_role = -2;

// The first tasks of the lists of a queue that have waited longest.
struct FirstLook {
    int n_refs;
    TaskRef refs[8];
    int64 times[8];       // since when the page of each has had tasks (monotonic), 0 not known
    int64 in_file_since;  // the same for the lists that are in the spill file, 0: there are none
};
// Reads them from the lanes of a role (-1: outside workers), or for every_role from all lanes but held ones. Takes the
// namespace lock.
void look_at_first(SlotNo queue, SlotNo role, FirstLook *look);

// A queue whose tasks may be in trouble.
struct QueueSurvey {
    SlotNo queue;
    int64 ready;     // tasks in its lanes, without held ones
    int64 outside;   // of these, for outside workers
    bool held;       // it has tasks of roles that do not exist
    bool full;       // max_running is reached
    bool ns_full;    // that of its namespace is reached
    bool throttled;  // the rate limit allows no start now
    int64 since;     // since when its first tasks may have waited (monotonic), 0 not known
};
// Reads all queues of a database in the namespaces that are marked in `wanted`, by slot. `out` has room for `most` of
// them. Returns how many there are. Takes the locks of the namespaces.
int survey_queues(SlotNo db, const bool *wanted, QueueSurvey *out, int most);

}  // namespace pgqueue::dispatch
