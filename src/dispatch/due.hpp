// The due heap of a database: tasks that wait for their time (delays, retries). A radix heap: bucket k holds entries whose due time differs
// from the last taken one first in bit k-1. Due times below the last taken one count as that one, so the order never breaks.
#pragma once
#include "dispatch/shared.hpp"

namespace pgqueue::dispatch {

void init_due(SlotNo db);
void clear_due(SlotNo db);
// Takes the entries of dropped queues out, as far as they are in memory. The scheduler only.
void purge_due(SlotNo db);
// Adds an entry; takes the due lock. False: no memory.
bool add_due(SlotNo db, const DueEntry &entry);
// Takes up to `most` entries that are due at `now` into out. Returns how many.
int take_due(SlotNo db, TimestampTz now, DueEntry *out, int most);
// Due time of the earliest entry; INT64_MAX none. No lock: a hint for sleeping.
int64 next_due(SlotNo db);

}  // namespace pgqueue::dispatch
