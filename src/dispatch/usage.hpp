// Reads how full the fixed tables and the pool of shared memory are, for view memory and for health. The numbers may be
// out of date. They are read without the locks of their owners where a wrong number does no harm.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

enum class Table { Namespaces, Queues, Roles, Lanes, Priorities, Leases, Waiters, Pages, Histograms };
constexpr int table_kinds = 9;

struct Usage {
    const char *kind;
    int64 used, capacity;
    const char *comment;
};
// Returns the usage of a table by the whole cluster. Takes no lock.
Usage usage_of(Table kind);
// The usage of a namespace.
struct NamespaceUsage {
    int64 queues, priorities, most_priorities, leases, groups, grouped;
};
// Reads it. Takes the registry lock, then the namespace lock in shared mode.
NamespaceUsage usage_of_namespace(SlotNo ns);
// Returns how many repairs of this database were made since the server started. Takes no lock.
int64 repairs(SlotNo db);

}  // namespace pgqueue::dispatch
