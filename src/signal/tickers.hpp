// Tickers that were written, on their way to the scheduler of their database. Lock-free; a full table means all of
// them.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// At commit: does not wake the scheduler.
void post_ticker(SlotNo db, int32 id);

// The scheduler's: takes what was posted, at most ticker_posts ids; *all: read all tickers instead.
int take_tickers(SlotNo db, int32 *ids, bool *all);

// The scheduler fires tickers from now on; slots before were missed by nobody's fault but the server's.
void serve_tickers_since(SlotNo db, TimestampTz since);
TimestampTz tickers_since(SlotNo db);

}  // namespace pgqueue::signal
