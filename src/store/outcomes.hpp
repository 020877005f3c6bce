// The ends of attempts, in the outcome table of the row's segment.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

// Appends the end of the row's current attempt, and its time, to the outcome table of the row's segment. Raises 40001
// if the segment was condemned.
void append_outcome(const TaskRow &row, const OutcomeRow &outcome, TimestampTz end);
// Deletes the task's oldest ended attempts beyond `keep`. Leaves those that another transaction holds.
void trim_outcomes(const TaskRow &row, int keep);

// Inside store/ only: moving them with their row.
struct OutcomePlace {
    Relation heap;
    Relation key;
};

// Moves all outcomes of a task from one segment's table to another's. Both are open for writing. Raises 55P03 if
// another transaction holds one of them.
void move_outcomes(int64 id, const OutcomePlace &from, const OutcomePlace &to);

}  // namespace pgqueue::store
