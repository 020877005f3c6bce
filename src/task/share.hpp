// The error of a namespace that has its part of what all namespaces share (core/share.hpp).
#pragma once
#include "store/catalog.hpp"

namespace pgqueue::task {

// Something that all share, as a namespace has it.
struct SharedThing {
    const char *what;     // queues
    const char *setting;  // max_queues
    Share own;
    int64 used, free;
    const char *remedy;  // how the namespace gets places back: a sentence
};

// Raises 53400 with the number that the namespace has, its limit, and the statement that raises it.
[[noreturn]] void share_used_up(const store::NamespaceInfo &ns, const SharedThing &thing);

}  // namespace pgqueue::task
