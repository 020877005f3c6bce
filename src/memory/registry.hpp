// Entries of databases, namespaces and queues. Finding an entry is lock-free where its key is immutable.
// Creating one takes the registry lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// Return the entry of a database. -1: there is none (ensure: the table of databases is full).
SlotNo find_database(Oid oid);
SlotNo ensure_database(Oid oid);
// Empties the due heap of a database and its lists of put-off tasks.
void init_due_lists(Database *d);

// The highest keys of the database's entries, including those of a dropped extension; 0 none.
struct HighestIds {
    int32 queue, ns;
};
HighestIds highest_ids(SlotNo db);

// Return the entry of an object, and begin the use of numbers (memory/users.hpp). find returns -1 if there is none.
// ensure creates a missing entry, waits for a place for up to two seconds if the table is full, then raises 53200.
// Takes the registry lock where needed.
SlotNo ensure_namespace(SlotNo db, int32 ns_id);
SlotNo find_namespace(SlotNo db, int32 ns_id);  // -1: none
SlotNo ensure_queue(SlotNo db, int32 ns_id, int32 queue_id);
SlotNo find_queue(SlotNo db, int32 queue_id);
// A namespace's part of the places for queues. A dropped queue keeps its place until no process uses its number any
// more.
struct QueueShare {
    Share own;
    int64 used, dropped, free;  // used includes dropped; free: for all namespaces
};
// Reads that part. Takes the registry lock.
QueueShare queue_share(SlotNo ns);
// Returns whether the queue has an entry that is in use, mostly without a lock.
bool is_queue_known(SlotNo db, int32 queue_id);
// Returns whether shared memory has learned that the queue was dropped. The catalog caches may learn of it slightly
// later.
bool is_queue_dropped(SlotNo db, int32 queue_id);
// Empties an entry of statistics.
void init_statistics(StatNo no);
// Marks a queue as dropped and removes it from the hash table. Takes the registry lock.
void hide_queue(SlotNo queue);

}  // namespace pgqueue::memory
