// Slots of a ticker: instants named by a period or a cron text, in microseconds since 1970 UTC.
// docs/internals/tickers.md
#pragma once
#include "core/cron.hpp"

namespace pgqueue::core {

struct Schedule {
    enum class Kind { None, Period, Cron } kind;
    CronSpec cron;
    std::int64_t months, days, micros;  // of the period
    std::int64_t anchor;                // slots of a period are counted from here
    std::int64_t starts, ends;          // no slot before, none after
    CronZone zone;
};

// The first slot strictly after an instant; none when there is none. A month that is too short has the slot on its last
// day, counted from the anchor each time.
std::optional<std::int64_t> next_slot(const Schedule &schedule, std::int64_t after);

// The newest slots from `first`, which is one, up to `until`, oldest first; at most `most` of them. Returns how many.
int newest_slots(const Schedule &schedule, std::int64_t first, std::int64_t until, std::int64_t *out, int most);

// How much later a slot of a ticker is due: spread over the jitter, the same each time it is asked.
std::int64_t jitter_of(std::int32_t ticker, std::int64_t slot, std::int64_t jitter);

}  // namespace pgqueue::core
