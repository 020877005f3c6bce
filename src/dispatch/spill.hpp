// Writes middle pages of long lists to a file of the database, and brings them back some pages ahead. If that is not
// enough, writes whole lists of namespaces with many lists, and brings one back when somebody has looked for it. Only
// the scheduler calls these functions, except first_since_in_file(): one process owns the file. The file is not logged,
// and each rebuild begins with an empty one. File I/O happens outside all locks. A list whose pages move is `moving`
// meanwhile.
#pragma once
#include "memory/page_list.hpp"

namespace pgqueue::dispatch {

// Returns since when the first page of a list in the file has had tasks (monotonic), 0: none is there. The caller holds
// the lock of the list.
int64 first_since_in_file(const PageList &list);

// Empties the file of a database, when no list has pages in it. Takes no lock.
void reset_spill_file(SlotNo db);
// Writes pages of lists until `target` pages are free, nothing is left to write, or 20 ms are over; the next call
// continues with the queues after them. Returns how many pages were written. Takes the locks of the lists.
int spill_pages(SlotNo db, uint32 target);
// Brings pages back for every list whose front runs out, or was looked for, until 20 ms are over; the next call
// continues with the queues after them. Empties the file when nothing is in it. Returns whether it has looked at all
// lists. Takes the locks of the lists.
bool refill_lists(SlotNo db);
// Calls visit(arg, page) for the pages of a list that are in the file; they stay there. Returns false if the file
// cannot be read; then its contents are read again from the rows. Allocates memory. Checks for interrupts. The caller
// holds no lock.
bool read_spilled(SlotNo db, const PageList &list, void (*visit)(void *arg, const Page &), void *arg);
// Removes entries from up to `most` pages of a list that are in the file, the first ones first. These pages go to the
// end of the file part, so the order of the list must not matter. drop(page) removes the entries, and returns how many,
// with `lock` held. Returns how many pages were read. Allocates memory. Takes `lock`, and releases it for file I/O.
uint32 sift_spilled(SlotNo db, PageList *list, LWLock *lock, uint32 most, int (*drop)(Page *));
// Frees the places in the file of a list that is going to be freed. The caller holds the lock of the list.
void give_file_places(SlotNo db, PageList *list);

}  // namespace pgqueue::dispatch
