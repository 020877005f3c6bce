// Named entries of statistics: types in queues, and roles in namespaces. Finding an entry needs no lock.
#pragma once
#include "core/type_hash.hpp"
#include "memory/shared.hpp"

namespace pgqueue::stats {

using memory::SlotNo;
using memory::StatNo;

// Returns the entry, -1: there is none. of: the queue of a type, the namespace of a role. key: hash_of_type of the
// name, or the role's oid.
StatNo find_named(StatKind kind, SlotNo of, uint64 key);
// Returns whether one can be made. A namespace takes at most half of what the others leave.
bool has_room(StatKind kind, SlotNo of);
// Returns the entry, made if missing; -1: there is no room, or the name is too long. Takes the registry lock.
StatNo make_named(StatKind kind, SlotNo of, uint64 key, const char *name);
// Gives the entries of a queue or namespace back, which nobody may use any more. Needs the registry lock.
void free_named(StatKind kind, SlotNo of);

// Return what an entry belongs to.
StatKind kind_of(StatNo no);
SlotNo queue_of(StatNo no);  // not of a role
SlotNo namespace_of(StatNo no);
SlotNo database_of(StatNo no);

// The end of all entries.
inline StatNo end_of_stats() {
    return memory::first_named_stat() + memory::map.shared->n_named_stats[0] + memory::map.shared->n_named_stats[1];
}

// Calls f(StatNo) for each used entry of a kind.
template <typename F>
void each_named(StatKind kind, F f) {
    const int32 first = kind == StatKind::Type ? 0 : memory::map.shared->n_named_stats[0];
    for (int32 i = first; i < first + memory::map.shared->n_named_stats[named_index(kind)]; i++)
        if (memory::map.stat_names[i].used) f(memory::first_named_stat() + i);
}

}  // namespace pgqueue::stats
