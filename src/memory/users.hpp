// Who may have numbers of entries (queues, lanes, roles, namespaces) in hands. An entry that is dropped becomes another
// object's only when every process that could have its number has put it down. Each process says since when it uses
// such numbers, by a count of drops: from the first number that it asks for until its transaction ends. A drop takes
// the entry out of where it is found first, and counts then.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// This process may use numbers of entries from now on. Cheap when it does already: false then.
bool begin_use();
// This transaction has made an entry; if it, or a part of it, is rolled back, the scheduler looks for entries without
// an object.
void note_made();
void note_rolled_back();
// It has put them down: called at the end of each transaction, and by who uses them outside of one.
void end_use();
// Both, one after the other. False: nothing was in use, or entries were made since it began.
bool use_anew();
// The count of a drop; the entry is not to be found any more.
uint64 count_drop();
// Does nobody use numbers since before that drop?
bool is_put_down(uint64 drop);
// The queue is dropped, and nobody can have its number in hands: drops up to `until` are put down.
inline bool is_put_down(const Queue &q, uint64 until) { return is_dropped(q) && q.drop != 0 && q.drop <= until; }
// The last drop since before which nobody uses numbers.
uint64 put_down_until();
// The process that holds back for longest what was dropped, 0 none.
pid_t holder_of_drops();

}  // namespace pgqueue::memory
