// Dedup keys: one row for each queue and key, with the task that has the key. A row outlives its task and is taken over
// by the next one.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

struct Key {
    int32 queue_id;
    text *key;
};

// Who has a key, and until when it is kept even after the task's end (0: only while the task is unfinished).
struct KeyHolder {
    int64 task_id;
    TimestampTz until;
};

// Inserts the row of a key that has none; waits for another transaction that is inserting it. False: it has one.
bool insert_key(const Key &key, const KeyHolder &holder);
// Reads the row, with `lock` also locks it (waits). False: none.
bool read_key(const Key &key, bool lock, KeyHolder *holder);
// Writes a row locked before.
void write_key(const Key &key, const KeyHolder &holder);

// Whether the task is there and not finished, in its newest committed or own version.
bool is_unfinished_task(int64 id);

// Removes rows of keys that nobody has any more, in the open transaction; looks at a part of a large table, another one
// each time. Waits for nobody. Returns how many.
int64 clean_keys(TimestampTz now);

}  // namespace pgqueue::store
