// Dedup keys of new tasks: who gets the key, and what becomes of the task that has it.
#pragma once
#include "store/catalog.hpp"
#include "store/dedup.hpp"

namespace pgqueue::task {

enum class OnConflict { Skip, Nothing, Replace, Error };

// The tasks of a call that are to be inserted; their ids grow. They are not in the table yet, but have their keys
// already.
struct Pending {
    store::NewTask *tasks;
    int count;
};
// The task of this id among them, or nullptr.
store::NewTask *find_pending(const Pending &pending, int64 id);

// Gives the key of a new task to it, kept until `until` (0: while it is unfinished). Otherwise returns false and who
// has it.
bool take_key(const store::NewTask &task, TimestampTz until, const Pending &pending, store::KeyHolder *holder);

// Overwrites payload, headers, command, type, priority and times of the waiting task that has the key. Retained: PQ002.
// False: it has just ended, the key may be free.
bool replace(const store::KeyHolder &holder, const store::NewTask &by);

[[noreturn]] void raise_duplicate(const store::NewTask &task, int64 holder, const char *why);

// A finished task of the queue is to be unfinished again: it needs its key back. Returns 0, or the id of the unfinished
// task that has it.
int64 take_key_back(const store::TaskRow &row);
// PQ002: a finished task stays as it is, for the other one has its key.
[[noreturn]] void raise_key_taken(const store::TaskRow &row, int64 holder);

}  // namespace pgqueue::task
