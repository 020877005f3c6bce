// Middle pages of long lists, written to a file of the database and brought back a page ahead. Only the scheduler calls
// this: one process owns the file, which is not logged and starts empty with each rebuild. File I/O happens outside all
// locks, while list->moving is set.
#pragma once
#include "memory/page_list.hpp"

namespace pgqueue::dispatch {

// Empties the file of a database (all its lists are empty).
void reset_spill_file(SlotNo db);
// Writes middle pages of the longest lists until `target` pages are free or nothing is left to write. Returns pages
// written.
int spill_pages(SlotNo db, uint32 target);
// Brings pages back for every list whose front runs out. Returns pages read. Empties the file when nothing is in it.
int refill_lists(SlotNo db);
// Shows the pages of a list that are in the file, which stay there. False: trouble with the file; what it held is read
// again from the rows.
bool read_spilled(SlotNo db, const PageList &list, void (*visit)(void *arg, const Page &), void *arg);
// Has `drop` take entries out of up to `most` pages of a list that are in the file, first ones first; they go to the
// end there, so the order of the list must not matter. drop returns how many it took, with the lock held. Returns how
// many pages it has seen.
uint32 sift_spilled(SlotNo db, PageList *list, LWLock *lock, uint32 most, int (*drop)(Page *));
// The places of a list that is given back are free.
void give_file_places(SlotNo db, PageList *list);

}  // namespace pgqueue::dispatch
