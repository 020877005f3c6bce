// Inserts rows of tasks.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

// Inserts tasks into the current segment, in bulk if they are many. Fills refs[i] for tasks[i].
void insert(std::span<const NewTask> tasks, TaskRef *refs);

// Returns about how many bytes the row of a task takes, not compressed.
int64 stored_bytes(const NewTask &task);

}  // namespace pgqueue::store
