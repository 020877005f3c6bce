// Which functions run a task that has no command, and as which role. See docs/internals/handlers.md.
#pragma once
#include "core/handler_step.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {

// What decides which role runs a task. type empty: none.
struct Routed {
    int32 role_id;  // of the creator
    int16 flags;
    std::string_view type;
};

// Returns whether handlers run the task. If so, its type decides which role's workers take it.
inline bool by_handlers(const store::QueueInfo &queue, int16 flags) {
    return queue.server && (flags & flags_own_work) == 0;
}

// Returns the key of the role whose workers run a task of the server: the role of its handler. For a command, or
// without a handler, this is the role of its creator. If the handler or a function around it has a role that does not
// exist, returns that role: the task is held until the role exists.
int32 runner_of(const store::QueueInfo &queue, const Routed &task);
// Returns the same for a row. Reads the type if the row was read without its body.
int32 runner_of(const store::QueueInfo &queue, const store::TaskRow &row);

// Returns whether the role exists that a task of the server runs as.
bool has_role(const store::QueueInfo &queue, const store::TaskRow &row);

// The handler of a type and the functions around it, in the order in which they run.
struct Route {
    bool found;
    HandlerStep handle;
    std::span<const HandlerStep> before, after;
};
// Finds the route of a type (nullptr: not found) in the current memory context.
Route route_of(const store::QueueInfo &queue, const char *type);
// Returns whether a namespace has functions of phase failed.
bool has_failed_steps(int32 ns_id);
// Returns the functions of phase failed for a type ('' none), in the order of registration, in the current memory
// context.
std::span<const HandlerStep> failed_steps(int32 ns_id, std::string_view type);
// Returns whether functions that the role has registered may run: it still has the privilege manage. True for a role
// that does not exist: the tasks wait for it.
bool may_handle(Oid role, int32 ns_id);
// Raises PQ104: there is no handler for a task of this type (nullptr: it has no type).
[[noreturn]] void no_handler(const char *type);

}  // namespace pgqueue::task
