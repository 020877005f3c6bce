// The error of a namespace that has used up its part of what all namespaces share (core/share.hpp).
#pragma once
#include "store/catalog.hpp"

namespace pgqueue::task {

// Something that all namespaces share, and what a namespace has of it.
struct SharedThing {
    const char *what;     // queues
    const char *setting;  // max_queues
    Share own;
    int64 used, free;
    const char *remedy;  // how the namespace frees places: a sentence
};

// Raises 53400 with the number that the namespace has, its limit, and the statement that raises the limit.
[[noreturn]] void share_used_up(const store::NamespaceInfo &ns, const SharedThing &thing);

}  // namespace pgqueue::task
