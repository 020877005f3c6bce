// ttl of ready tasks: every page, list and database knows a lower bound of the dies_at of what it holds.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Lowers the database's bound.
void lower_min_dies(SlotNo db, int64 dies);

// Visits lists whose earliest dies_at is over: copies up to `most` refs of them to out. The caller looks at the rows.
int collect_expired(SlotNo db, TimestampTz now, TaskRef *out, int most);
// Earliest dies_at of anything ready in the database, INT64_MAX none.
int64 next_expiry(SlotNo db);

}  // namespace pgqueue::dispatch
