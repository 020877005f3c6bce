// Which tasks memory knows as waiting, for the look that finds those that were forgotten (docs/internals/dispatch.md).
#pragma once
#include "dispatch/limits.hpp"

namespace pgqueue::dispatch {

// Sorted ids of tasks: of those whose number is `part` modulo `parts`, so that the memory for them is bounded.
struct HintIds {
    int64 *ids;
    Size count, room;
    int64 part, parts;

    bool wants(int64 id) const { return id % parts == part; }
    bool has(int64 id) const;
};

// About how many hints there are. No lock.
Size hint_count(SlotNo db);
// Fills `out`, whose room is given, with the tasks that are in lists, in the due heap, put off, in groups, in the spill
// file, or in the hands of a worker or session. Handed over pages must have been filed before. False: there are more,
// or the file cannot be read. The scheduler only.
bool collect_hints(SlotNo db, HintIds *out);

// Held tasks of each queue of a database by leases and workers, by number of the queue; `held` has a place for each.
void count_held(SlotNo db, int32 *held);
// The same for the places that are taken.
void count_places(SlotNo db, PlacesLook *places);

}  // namespace pgqueue::dispatch
