// Handlers as this process sees them. It reads the handlers of a namespace as a whole when it needs them, and again
// when the table has changed. Pointers stay valid until the transaction ends.
#pragma once
#include "core/handler_step.hpp"
#include "pg/backend.hpp"

namespace pgqueue::store {

struct HandlerInfo {
    int32 id;  // grows in the order of registration
    int32 ns_id;
    Phase phase;
    const char *type;      // exact type or pattern
    const char *function;  // schema-qualified
    Oid role;              // the role as which it runs
    Oid owner;             // the role that owned the function when it was registered
};

// Returns the handler of a type: the exact one, else the one with the longest pattern. nullptr: none.
const HandlerInfo *handler_of_type(int32 ns_id, std::string_view type);
// Returns all functions of a namespace of the other phases, in the order of registration.
std::span<const HandlerInfo> around_handlers(int32 ns_id);

// Makes the next look-up read the table again. For a commit that is announced before its invalidation is sent.
void forget_handlers();

// Registers the callbacks for invalidations of the table. Called once per process.
void register_handler_callbacks();

}  // namespace pgqueue::store
