// The queues whose statistics the caller may see.
#pragma once
#include "dispatch/look.hpp"

namespace pgqueue::api {

// A queue with its numbers. On a standby, queues have no entry, and `copy` is what was saved last.
struct SeenQueue {
    memory::SlotNo slot;  // -1: none
    int32 id;
    const char *namespace_name, *name;
    dispatch::WaitingLook waiting;
    const Statistics *copy;  // nullptr: shared memory has all numbers
    TimestampTz as_of;       // when they were true

    int64 total(Total kind) const;
    int64 cost(RunCost kind) const;
    void copy_times(Time kind, histogram::Times *times) const;
    TimestampTz since() const;
    // Returns the rows with this status; -1: unknown.
    int64 count(Status status) const;
};
// Returns the queues of this database in namespaces in which the caller has read or manage, or which it owns; all of
// them for pg_monitor. The tasks that were handed over in these namespaces are filed first. Takes the namespace locks.
// Reads saved statistics if shared memory does not have them yet. In the current memory context.
std::span<const SeenQueue> seen_queues();

}  // namespace pgqueue::api
