// Runs tasks without a command in this worker.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::worker::runner {

// Runs the functions of a task without command inside its transaction. *result is allocated in `keep`.
// Returns false if the handler now belongs to another role than this worker's. Raises PQ104 if there is no handler.
bool run_typed(const store::TaskRow &row, MemoryContext keep, Jsonb **result);

}  // namespace pgqueue::worker::runner
