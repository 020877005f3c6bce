// What to do when a fixed table has few free places left, or none.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// Returns whether more than three quarters of a table are taken.
bool short_of_places();
// Called after an entry was created: if few places are left, asks the scheduler of the database to free idle ones.
// few_in_part: few are left in the part of a namespace.
void ask_for_idle_places(SlotNo db, bool few_in_part);
// How often a process tries again: if a table is full, and if a namespace has its part. A session may be refused its
// part again and again, and each try costs the scheduler a turn.
constexpr int most_tries = 200, most_tries_in_part = 20;
// Called if no place is free. Returns true after 10 ms, or earlier, if schedulers may free entries, so that the caller
// tries again; at most `most` times, counted in *tries. sure: some entries will become free. Checks for interrupts.
bool wait_for_place(int *tries, int most = most_tries, bool sure = false);
// Raises 53200 for a full table. what: the kind of the entry; capacity: the places of the table.
[[noreturn]] void table_full(const char *what, int32 capacity);

}  // namespace pgqueue::memory
