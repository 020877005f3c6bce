// Names of entries of statistics: types in queues, and roles in namespaces. Part of shared.hpp.
#pragma once
#include "memory/pages.hpp"
#include "memory/statistics.hpp"

namespace pgqueue::memory {

constexpr int most_name_bytes = 255;

// What a named entry is of. Written under the registry lock before it is published; stats/named.
struct StatName {
    bool used;
    StatKind kind;
    SlotNo of;                       // Type: the queue, Role: the namespace
    uint64 key;                      // Type: hash of the name, Role: oid
    AtomicSlot next;                 // of the chain in the hash
    char name[most_name_bytes + 1];  // of a type
};

}  // namespace pgqueue::memory
