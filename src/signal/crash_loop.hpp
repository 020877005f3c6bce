// Deaths of processes of ours in a short time: a crash loop. No function takes a lock.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::signal {

// Records that a process of this role, or the scheduler, ended without need. Several deaths in a short time are a crash
// loop.
void record_death(Deaths *deaths);
// Returns the number of deaths of a crash loop that still lasts: at least 3, with no pause of more than 5 minutes,
// counted from the last death too. Otherwise 0.
uint32 in_loop(const Deaths &deaths, const pg::Moment &now);

}  // namespace pgqueue::signal
