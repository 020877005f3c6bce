// Tasks that wait for their time. The due heap of a database has tasks that wait for a time of the calendar (delays,
// retries). It is a radix heap (core/due_order.hpp): bucket k holds entries for which bit k-1 is the highest bit that
// differs between their due time and the base. Due times before the base count as the base, so the order never breaks.
// Tasks that are only put off for a while are in lists, one for each reason. Each reason has a fixed length of time, so
// an entry that is appended to a list keeps the list in order. When its time has come, a task moves to the list
// `arrived` of its namespace. The scheduler takes it from there.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

// Empties the due heap of a database, its lists of put-off tasks and the lists `arrived`. Takes the due lock.
void clear_due(SlotNo db);
// Removes the entries of dropped queues from pages in memory. Takes the due lock for each page. The scheduler only.
void purge_due(SlotNo db);
// Removes such entries of the due heap from the spill file, up to 128 pages in a step. Returns true if nothing is left
// to do. Takes the due lock, and releases it for file I/O. The scheduler only.
bool purge_spilled_due(SlotNo db);
// Adds an entry to the due heap. Takes the due lock. Returns false if there is no memory.
bool add_due(SlotNo db, const DueEntry &entry);
// Adds an entry that is put off from now on; its `due` is ignored. Wakes the scheduler in time. Takes the due lock.
// Returns false if there is no memory.
bool put_off(SlotNo db, Wait wait, DueEntry entry);
// Returns for how long a task is put off for this reason, in microseconds.
int64 length_of(Wait wait);
// Moves up to `most` entries whose time has come to the lists `arrived` of their namespaces. So a namespace with many
// of them does not delay the others. Returns how many entries it took. Entries for which there is no memory are copied
// to `out`, which has room for `most`; *unsorted is their number. Takes the due lock. The scheduler only.
int arrive(SlotNo db, const pg::Moment &now, int most, DueEntry *out, int *unsorted);
// Returns whether a namespace has entries whose time has come. Takes no lock.
bool has_arrived(SlotNo ns);
// Moves up to `most` of these entries to `out`. Returns how many. Takes the due lock.
int take_arrived(SlotNo ns, DueEntry *out, int most);
// Returns when the next entry is due. Takes no lock, so the result is only a hint for how long to sleep.
pg::Deadline next_due(SlotNo db, const pg::Moment &now);

}  // namespace pgqueue::dispatch
