// Finds, reads and locks rows of tasks.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

// Reads the newest committed (or own) version by ref, or else by the primary keys of all segments. Takes no row lock.
// Returns false if there is no such row.
bool fetch(const TaskRef &ref, bool with_body, TaskRow *row);
// The same with the relation lock of writers. For rows that are changed next this is cheaper.
bool fetch_to_change(const TaskRef &ref, bool with_body, TaskRow *row);
// Returns the type of a task's newest version, in the current memory context; nullptr: it has none, or there is no such
// row.
char *fetch_type(const TaskRef &ref);
// Returns the worker's name in the version that was read; nullptr: none.
char *worker_name(const TaskRow &row);
// The same as fetch(), by id alone.
bool find(int64 id, bool with_body, TaskRow *row);
// Reads and locks the row for update. With Wait::Block it waits, and follows the row to its last version. Raises 40001
// if the row moves again and again.
Locked lock(const TaskRef &ref, Wait wait, bool with_body, TaskRow *row);
Locked lock_by_id(int64 id, Wait wait, bool with_body, TaskRow *row);

}  // namespace pgqueue::store
