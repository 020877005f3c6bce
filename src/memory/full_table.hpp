// What who makes entries does when few places are left in a fixed table, or none.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// More than three quarters of a table are taken.
bool short_of_places();
// An entry was made: when few places are left, the scheduler of the database looks for idle ones.
void ask_for_idle_places(SlotNo db);
// A table is full. True: the schedulers may free entries in a moment, and this has waited for a little of it; tries
// counts the calls. sure: some will be free.
bool wait_for_place(int *tries, bool sure = false);
// Raises 53200.
[[noreturn]] void table_full(const char *what, int32 capacity);

}  // namespace pgqueue::memory
