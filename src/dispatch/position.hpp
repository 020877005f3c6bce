// Finds the place of one ready task among the tasks that run before it, for why().
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

enum class Listed {
    Yes,      // `ahead` tasks run before it
    InFile,   // in the part of its list that is in the spill file: at least `ahead` tasks run before it
    Unknown,  // in a list that is too long to be searched, behind at least `ahead` tasks; or in no list
    No,       // in no list: popped, or not handed over yet
};

struct Position {
    Listed listed = Listed::No;
    int64 ahead = 0;
};

// Returns the place of a ready task in its lane. role: of the lane, -1 for outside workers. Counts the tasks of better
// priority in the lane, and the tasks before it in its list; ignores aging. The caller has drained the inboxes. Takes
// the namespace lock in shared mode.
Position find_position(SlotNo queue, SlotNo role, int32 priority, int64 id);

// Returns whether a worker has popped the task and has not started it yet. Takes no lock.
bool is_popped(SlotNo db, int64 id);

}  // namespace pgqueue::dispatch
