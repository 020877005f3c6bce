// Moving a task's outcomes with its row. Inside store/ only.
#pragma once
#include "store/segments.hpp"

namespace pgqueue::store {

struct OutcomePlace {
    Relation heap;
    Relation key;
};

// Moves all outcomes of a task from one segment's table to another's. Both are open for writing. Raises 55P03 if
// another transaction holds one of them.
void move_outcomes(int64 id, const OutcomePlace &from, const OutcomePlace &to);

}  // namespace pgqueue::store
