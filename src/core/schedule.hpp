// Slots of a ticker: instants that a period or a cron text names, in microseconds since 1970 UTC. See
// docs/internals/tickers.md.
#pragma once
#include "core/cron.hpp"

namespace pgqueue::core {

struct Schedule {
    enum class Kind { None, Period, Cron } kind;
    CronSpec cron;
    std::int64_t months, days, micros;  // of the period
    std::int64_t anchor;                // slots of a period are counted from here
    std::int64_t starts, ends;          // no slot before `starts`, none after `ends`
    CronZone zone;
};

// Returns the first slot strictly after an instant; none: there is no such slot. In a month that is too short, the slot
// is on its last day. Each slot is computed from the anchor.
std::optional<std::int64_t> next_slot(const Schedule &schedule, std::int64_t after);

// Writes the newest slots from `first`, which is a slot, up to `until`, oldest first, at most `most` of them. Returns
// how many.
int newest_slots(const Schedule &schedule, std::int64_t first, std::int64_t until, std::int64_t *out, int most);

// Returns by how much later a slot of a ticker is due: at least 0 and below `jitter` microseconds, always the same for
// the same slot.
std::int64_t jitter_of(std::int32_t ticker, std::int64_t slot, std::int64_t jitter);

}  // namespace pgqueue::core
