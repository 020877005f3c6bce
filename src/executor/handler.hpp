// Runs the functions of a typed task in this process: those before, the handler, those after. Does not know queues,
// rows of tasks or shared memory. docs/internals/handlers.md describes the rights.
#pragma once
#include "core/handler_step.hpp"
#include "pg/backend.hpp"

namespace pgqueue::executor {

// The functions of a task, and its payload.
struct HandlerCall {
    HandlerStep handle;
    std::span<const HandlerStep> before, after;  // in the order in which they run
    Jsonb *payload;                              // nullptr: NULL
};

// Runs all of them in the open transaction, and raises what they raise. The handler runs as the current user, which
// must be its role: that of a worker's session, or in run_task (guest.hpp). Returns the handler's result as jsonb in
// `keep`; nullptr for void and NULL.
Jsonb *run_handlers(const HandlerCall &call, bool is_worker, MemoryContext keep);

// Runs a function of phase failed as the current user, which must be its role. error: text, nullptr NULL.
void run_failed_step(const HandlerStep &step, Jsonb *payload, text *error);

// Returns the types of the arguments of a phase's functions.
std::span<const Oid> arguments_of(Phase phase);
// Returns them in words.
const char *list_of_arguments(Phase phase);

// Returns in words why a step cannot run: its function is gone, or belongs to another role than at its registration, or
// its role has lost the privilege. nullptr: it can.
const char *trouble_of_step(const HandlerStep &step);

}  // namespace pgqueue::executor
