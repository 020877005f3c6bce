// Tasks that wait. The due heap of a database is for those that wait for a time of the calendar (delays, retries): a
// radix heap, bucket k holds entries whose due time differs from the last taken one first in bit k-1. Due times below
// the last taken one count as that one, so the order never breaks. Those that are only put off for a while are in
// lists: each reason has its length, so what is added to a list is in order. When its time has come, a task goes to the
// list of its namespace, from which the scheduler takes it.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::dispatch {

void clear_due(SlotNo db);
// Takes the entries of dropped queues out, as far as they are in memory. The scheduler only.
void purge_due(SlotNo db);
// Goes on with those in the spill file, some pages in a step. True: nothing is left to do.
bool purge_spilled_due(SlotNo db);
// Adds an entry; takes the due lock. False: no memory.
bool add_due(SlotNo db, const DueEntry &entry);
// The same for one that is put off from now on; the scheduler is woken in time.
bool put_off(SlotNo db, Wait wait, DueEntry entry);
int64 length_of(Wait wait);  // in microseconds
// Moves up to `most` entries that are due, or were put off long enough, to the lists of their namespaces. So a
// namespace with many of them does not hold up the others. Returns how many it took. Those for which there is no memory
// are in out; *unsorted is their number.
int arrive(SlotNo db, const pg::Moment &now, int most, DueEntry *out, int *unsorted);
// Returns whether a namespace has entries whose time has come. No lock.
bool has_arrived(SlotNo ns);
// Takes up to `most` of them into out. Returns how many.
int take_arrived(SlotNo ns, DueEntry *out, int most);
// Returns when there is something to take. No lock: a hint for sleeping.
pg::Deadline next_due(SlotNo db, const pg::Moment &now);

}  // namespace pgqueue::dispatch
