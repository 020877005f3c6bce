// The place of one ready task among those that run before it, for why().
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

enum class Listed {
    Yes,      // `ahead` tasks run before it
    InFile,   // in the part of its list that is in the spill file: at least `ahead` run before it
    Unknown,  // the list is too long to be looked at
    No,       // in no list: popped, or not handed over yet
};

struct Position {
    Listed listed = Listed::No;
    int64 ahead = 0;
};

// role: of the lane, -1 for outside workers. Tasks of better priority in the lane and those before it in its list; what
// aging changes is left out. The caller has drained the inboxes.
Position find_position(SlotNo queue, SlotNo role, int32 priority, int64 id);

// A worker has popped it and will look at it next.
bool is_popped(SlotNo db, int64 id);

}  // namespace pgqueue::dispatch
