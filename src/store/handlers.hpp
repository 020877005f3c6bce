// Handlers as this process sees them: those of each namespace that it has asked for, read whole, and read again when
// the table has changed. Pointers stay valid until the transaction ends.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

enum class Phase { Handle, Before, After };

struct HandlerInfo {
    int32 id;  // grows in the order of registration
    int32 ns_id;
    Phase phase;
    const char *type;      // exact type or pattern
    const char *function;  // schema-qualified
    Oid role;              // it runs as
    Oid owner;             // the function belonged to when it was registered
};

// The handler of a type: exact, else the longest pattern. nullptr: none.
const HandlerInfo *handler_of_type(int32 ns_id, std::string_view type);
// All functions of a namespace that run before or after handlers, in the order of registration.
std::span<const HandlerInfo> around_handlers(int32 ns_id);

// The next question reads the table again: a commit has been told of before its invalidation was sent.
void forget_handlers();

void register_handler_callbacks();

}  // namespace pgqueue::store
