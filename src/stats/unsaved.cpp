#include "stats/unsaved.hpp"

#include "config/server_settings.hpp"
#include "memory/wake.hpp"

namespace pgqueue::stats {

TimestampTz mark_unsaved(StatNo no, TimestampTz now) {
    pg::Atomic<TimestampTz> &since = memory::map.statistics[no].unsaved_since;
    if (since.load() != 0) return now;
    if (now == 0) now = GetCurrentTimestamp();
    (void)since.replace(0, now);
    return now;
}

void save_soon(SlotNo db, TimestampTz marked) {
    if (marked == 0 || db < 0) return;
    pg::Atomic<bool> &any = memory::database(db).unsaved.any;
    if (any.load() || any.exchange(true)) return;
    const int64 left = USECS_PER_MINUTE - marked % USECS_PER_MINUTE;
    memory::wake_scheduler_by(db, pg::deadline_in(Min(int64{config::stats_flush_interval} * 1000, left)));
}

}  // namespace pgqueue::stats
