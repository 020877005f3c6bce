// Which statistics are to be saved, and when. No function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::stats {

using memory::SlotNo;
using memory::StatNo;

// Notes that the entry has numbers that are not saved. now: the time, 0: not read yet. Returns it, read if an entry had
// none before.
TimestampTz mark_unsaved(StatNo no, TimestampTz now);
// Wakes the scheduler of a database (-1: none) for entries that were marked at this time: after
// pgqueue.stats_flush_interval, but before the minute ends, because stat_history counts by minutes. 0: none was marked.
void save_soon(SlotNo db, TimestampTz marked);

}  // namespace pgqueue::stats
