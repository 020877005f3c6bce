#include "signal/crash_loop.hpp"

namespace pgqueue::signal {
namespace {

constexpr uint32 loop_begins = 3;
constexpr int64 loop_pause = 5 * int64(USECS_PER_MINUTE);  // a longer time without a death ends a loop

}  // namespace

void record_death(Deaths *d) {
    int64 now = pg::monotonic_now();
    if (d->count.load() == 0 || now - d->last.load() > loop_pause) {
        d->count.store(0);
        d->first.store(now);
    }
    d->last.store(now);
    d->count.fetch_add(1);
}

uint32 in_loop(const Deaths &deaths, const pg::Moment &now) {
    uint32 count = deaths.count.load();
    bool fresh = now.monotonic - deaths.last.load() <= loop_pause;
    return fresh && count >= loop_begins ? count : 0;
}

}  // namespace pgqueue::signal
