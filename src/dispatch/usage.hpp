// How full the fixed tables and the pool of shared memory are, for view memory and for health. Numbers of a moment,
// read without the locks of their owners where a wrong one does no harm.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

enum class Table { Namespaces, Queues, Roles, Lanes, Priorities, Leases, Waiters, Pages };
constexpr int table_kinds = 8;

struct Usage {
    const char *kind;
    int64 used, capacity;
    const char *comment;
};
// Of the whole cluster.
Usage usage_of(Table kind);
// Of a namespace.
struct NamespaceUsage {
    int64 queues, priorities, most_priorities, leases, groups, grouped;
};
NamespaceUsage usage_of_namespace(SlotNo ns);
// Repairs of this database since the server started.
int64 repairs(SlotNo db);

}  // namespace pgqueue::dispatch
