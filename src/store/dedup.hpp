// Dedup keys: one row per queue and key, with the task that holds the key. A row outlives its task, and the next task
// takes it over.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

struct Key {
    int32 queue_id;
    text *key;
};

// The task that holds a key, and until when the key is kept even after the task's end (0: only while the task is
// unfinished).
struct KeyHolder {
    int64 task_id;
    TimestampTz until;
};

// Inserts the row of a key that has none. Waits for another transaction that inserts it. Returns false if the key has a
// row.
bool insert_key(const Key &key, const KeyHolder &holder);
// Reads the row of a key. With `lock` also locks it, and waits for the lock. Returns false if there is none.
bool read_key(const Key &key, bool lock, KeyHolder *holder);
// Writes a row that the caller has locked.
void write_key(const Key &key, const KeyHolder &holder);

// Returns whether the task exists and is not finished, by its newest committed or own version.
bool is_unfinished_task(int64 id);

// Removes rows of keys that no task holds any more, in the open transaction. Reads at most a part of a large table, a
// random one each time. Waits for no lock. Returns how many it removed.
int64 clean_keys(TimestampTz now);

}  // namespace pgqueue::store
