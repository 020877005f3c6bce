// What the due slots of a ticker produce: tasks, a new state of the ticker, and its history. See
// docs/internals/tickers.md.
#pragma once
#include "store/tickers.hpp"

namespace pgqueue::task {

// Returns the first slot of a ticker strictly after an instant; 0 none. Raises 22023 if its cron text or time zone is
// not valid.
TimestampTz next_slot(const store::Ticker &ticker, TimestampTz after);
// Returns when the scheduler or next_ticker may handle a slot: the slot plus its jitter. 0 for slot 0. jitter:
// microseconds.
TimestampTz due_of_slot(int32 ticker_id, TimestampTz slot, int64 jitter);

// Handles the due slots of locked tickers that have a queue, and writes tasks, states and history. Stops when the tasks
// of this transaction are large enough. since: slots due before count as missed. Returns how many tickers it has
// handled. The others are unchanged, and the last handled one may still be due.
std::size_t handle_due(std::span<store::Ticker> tickers, TimestampTz now, TimestampTz since);

// Hands out the due slot of a locked ticker without queue. Returns false if all due slots were missed, or if the
// schedule is not valid.
bool hand_out(store::Ticker *ticker, TimestampTz now, TimestampTz since);

// Fires a locked ticker by hand: creates the task of a slot, or an extra task (no_slot), and returns its id. Returns
// the id of the first task if the slot has fired already, and 0 if the ticker has no queue.
constexpr TimestampTz no_slot = DT_NOBEGIN;
int64 fire(store::Ticker *ticker, TimestampTz slot, TimestampTz now);

}  // namespace pgqueue::task
