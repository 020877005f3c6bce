// What the slots of a ticker make: tasks, a new state of the ticker, and its history. docs/internals/tickers.md
#pragma once
#include "store/tickers.hpp"

namespace pgqueue::task {

// The first slot of a ticker strictly after an instant; 0 none. Raises for a cron text or zone that is not valid (any
// more).
TimestampTz next_slot(const store::Ticker &ticker, TimestampTz after);
// When the scheduler (or next_ticker) may handle a slot.
TimestampTz due_of_slot(int32 ticker_id, TimestampTz slot, int64 jitter);

// Handles the due slots of locked tickers with a queue, as many as one transaction may, and writes what comes of it.
// since: slots due before were missed, unless somebody was there for them. Returns how many tickers; the others are as
// they were, the last one may be due still.
std::size_t handle_due(std::span<store::Ticker> tickers, TimestampTz now, TimestampTz since);

// Hands out the due slot of a locked ticker without queue. False: all that was due is missed.
bool hand_out(store::Ticker *ticker, TimestampTz now, TimestampTz since);

// By hand, for a locked ticker: the task of a slot, or an extra one (no_slot). 0: it has no queue.
constexpr TimestampTz no_slot = DT_NOBEGIN;
int64 fire(store::Ticker *ticker, TimestampTz slot, TimestampTz now);

}  // namespace pgqueue::task
