// Runs the functions of a typed task in this process: those before, the handler, those after. Knows nothing of queues,
// rows of tasks or shared memory. Who may do what to whom: docs/internals/handlers.md.
#pragma once
#include "core/handler_step.hpp"
#include "pg/backend.hpp"

namespace pgqueue::executor {

struct HandlerCall {
    HandlerStep handle;
    std::span<const HandlerStep> before, after;  // in the order in which they run
    Jsonb *payload;                              // nullptr: NULL
};

// Runs all of them in the open transaction; raises what they raise. The handler runs as the current user, which must be
// its role: that of a worker's session, or in run_task (guest.hpp). Returns what the handler returned as jsonb in
// `keep`, nullptr for void and NULL.
Jsonb *run_handlers(const HandlerCall &call, bool is_worker, MemoryContext keep);

// What keeps a step from being run, as words: its function is gone, or is somebody else's than when it was registered.
// nullptr: nothing. arguments: 1, of phase after 2.
const char *trouble_of_step(const HandlerStep &step, int arguments);

}  // namespace pgqueue::executor
