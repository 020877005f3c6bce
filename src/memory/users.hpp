// Tracks which processes may hold numbers of entries (queues, lanes, roles, namespaces). A dropped entry is reused for
// another object only when no process can hold its number any more. Each process publishes since when it uses such
// numbers, as a count of drops: from the first number that it looks up until its transaction ends. A drop first makes
// the entry impossible to find, then increments the count.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// Begins the use of numbers in this process. Cheap, and returns false, if the process uses them already.
bool begin_use();
// note_made() records that this transaction has created an entry, note_rolled_back() that it or a part of it was rolled
// back. The scheduler then searches for entries without an object.
void note_made();
void note_rolled_back();
// Makes the scheduler of a database search for entries without an object.
void report_stray(SlotNo db);
// Ends the use of numbers: called at the end of each transaction, and by code that uses them outside a transaction.
void end_use();
// Ends the use and begins it anew. Returns false, and does nothing, if no numbers were in use or entries were created
// since.
bool use_anew();
// Counts a drop and returns its number. The entry must be impossible to find already.
uint64 count_drop();
// Returns whether no other process uses numbers from before that drop.
bool is_put_down(uint64 drop);
// Returns whether the queue is dropped and no process can hold its number. until: a result of put_down_until().
inline bool is_put_down(const Queue &q, uint64 until) { return is_dropped(q) && q.drop != 0 && q.drop <= until; }
// Returns the last drop such that no other process uses numbers from before it.
uint64 put_down_until();
// Returns the process that has held back dropped entries longest; 0: none.
pid_t holder_of_drops();

}  // namespace pgqueue::memory
