// Passes ids of created or changed tickers to the scheduler of their database. Takes no lock. If the table is full, the
// scheduler reads all tickers.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// Posts a ticker at commit. Does not wake the scheduler. db -1: does nothing.
void post_ticker(SlotNo db, int32 id);

// Removes all posted ids, at most ticker_posts, and copies them to `ids`. Returns how many. *all: the scheduler must
// read all tickers instead. Only the scheduler calls it.
int take_tickers(SlotNo db, int32 *ids, bool *all);

// Records since when the scheduler fires tickers. Slots due before that time count as missed.
void serve_tickers_since(SlotNo db, TimestampTz since);
// Returns the time recorded by serve_tickers_since().
TimestampTz tickers_since(SlotNo db);

}  // namespace pgqueue::signal
