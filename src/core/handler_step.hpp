// One of the functions that run a typed task, and the role as which it runs.
#pragma once
#include <cstdint>

namespace pgqueue {

struct HandlerStep {
    const char *function;  // schema-qualified, quoted where needed
    std::uint32_t role;    // oid
    std::uint32_t owner;   // oid of the role that the function belonged to when it was registered
};

}  // namespace pgqueue
