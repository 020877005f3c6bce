// Which functions run a task that has no command, and as which role. docs/internals/handlers.md.
#pragma once
#include "core/handler_step.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {

// What decides who runs a task; type nullptr: none.
struct Routed {
    int32 role_id;  // of the creator
    int16 flags;
    std::string_view type;
};

// Is it run by handlers? Then its type must be known to say whose workers it is for.
inline bool by_handlers(const store::QueueInfo &queue, int16 flags) {
    return queue.server && (flags & flag_command) == 0;
}

// Key of the role whose workers run a task of the server: that of its handler; of its creator for a command, or when
// there is no handler. A role that one of the functions for its type belongs to and that does not exist comes first:
// the task is held until it does.
int32 runner_of(const store::QueueInfo &queue, const Routed &task);
// The same for a row, which may have been read without its body.
int32 runner_of(const store::QueueInfo &queue, const store::TaskRow &row);

// Whether the role exists that a task of the server runs as.
bool has_role(const store::TaskRow &row);

// The handler of a type and all that runs around it, in the order in which they run; in the current memory context.
struct Route {
    bool found;
    HandlerStep handle;
    std::span<const HandlerStep> before, after;
};
Route route_of(const store::QueueInfo &queue, const char *type);
// Raises that there is no handler for a task.
[[noreturn]] void no_handler(const char *type);

}  // namespace pgqueue::task
