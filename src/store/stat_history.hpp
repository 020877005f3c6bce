// What queues have done in each minute, for view stat_history: eight tables in a ring, each for a seventh of
// pgqueue.stats_retention. The table whose turn comes is truncated, so that nothing is deleted row by row. Only the
// housekeeper writes them.
#pragma once
#include "store/statistics.hpp"

namespace pgqueue::store {

// Adds a row for a finished minute of a queue. retention: in minutes. A table that cannot be truncated, because a
// transaction reads it, waits for its next row; meanwhile the table before it takes the rows.
void add_to_history(int32 queue_id, const StatMinute &minute, int64 retention);

}  // namespace pgqueue::store
