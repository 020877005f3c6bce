// Collects which tasks memory knows as waiting, for the check for forgotten tasks (docs/internals/dispatch.md).
#pragma once
#include "dispatch/limits.hpp"

namespace pgqueue::dispatch {

// Sorted ids of tasks. Contains only ids that are `part` modulo `parts`, so that the memory for them is bounded.
struct HintIds {
    int64 *ids;
    Size count, room;
    int64 part, parts;

    // Returns whether this id is to be collected.
    bool wants(int64 id) const { return id % parts == part; }
    // Returns whether this id was collected.
    bool has(int64 id) const;
};

// Returns about how many hints there are. Takes no lock.
Size hint_count(SlotNo db);
// Fills `out`, whose room is given, with the ids of tasks that are in lists, in the due heap, put off, in groups, in
// the spill file, or held by a worker or a session. The caller has filed the pages that were handed over. Returns false
// if there are more ids than room, or if the file cannot be read. Takes the due lock and the locks of the namespaces.
// The scheduler only.
bool collect_hints(SlotNo db, HintIds *out);

// Counts the held tasks of each queue of a database by leases and worker slots. `held` has a place for each queue entry
// of shared memory. Takes no lock.
void count_held(SlotNo db, int32 *held);
// Reads the places that are taken under the limits of each queue of a database. `places` has a place for each queue
// entry, too. Takes the locks of the namespaces.
void count_places(SlotNo db, PlacesLook *places);

}  // namespace pgqueue::dispatch
