// Dedup keys of new tasks: which task gets the key, and what happens to the task that has it.
#pragma once
#include "store/catalog.hpp"
#include "store/dedup.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {

enum class OnConflict { Skip, Nothing, Replace, Error };

// The tasks of a call that are to be inserted, in ascending order of ids. They are not in the table yet, but their keys
// are.
struct Pending {
    store::NewTask *tasks;
    int count;
};
// Returns the pending task of this id, or nullptr.
store::NewTask *find_pending(const Pending &pending, int64 id);

// Gives the task's dedup key to it. The key is kept until `until` (0: while the task is unfinished). Returns false if
// another task holds the key, with that task in *holder. Waits for a transaction that writes the key's row.
bool take_key(const store::NewTask &task, TimestampTz until, const Pending &pending, store::KeyHolder *holder);

// Overwrites payload, headers, command, type, priority and times of the waiting task that holds the key. Returns false
// if that task has ended or is gone, so that the key may be free. Waits for the row's lock. Raises PQ002 if the task is
// retained or its key is kept after its end, 42501 if another role created it, 22023 if only one of both is an SQL
// command.
bool replace(const store::KeyHolder &holder, const store::NewTask &by);

// Raises PQ002: task `holder` has the key of `task`. why: the rest of a sentence about `holder`, as in "is retained".
[[noreturn]] void raise_duplicate(const store::NewTask &task, int64 holder, const char *why);

// Takes the dedup key back for a finished task of the queue that is to become unfinished. Returns 0, or the id of the
// unfinished task that holds the key.
int64 take_key_back(const store::TaskRow &row);
// Raises PQ002: a finished task cannot become unfinished because task `holder` has its key.
[[noreturn]] void raise_key_taken(const store::TaskRow &row, int64 holder);

}  // namespace pgqueue::task
