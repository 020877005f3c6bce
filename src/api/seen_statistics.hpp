// The queues, types and roles whose statistics the caller may see: those in namespaces in which it has read or manage,
// or which it owns; all of them for pg_monitor.
#pragma once
#include "dispatch/look.hpp"

namespace pgqueue::api {

// The numbers of an entry of statistics.
struct SeenNumbers {
    memory::StatNo no;       // -1: a standby has no entry
    const Statistics *copy;  // nullptr: shared memory has all numbers
    TimestampTz as_of;       // when they were true

    int64 total(Total kind) const;
    int64 cost(RunCost kind) const;
    void copy_times(Time kind, histogram::Times *times) const;
    TimestampTz since() const;
};

struct SeenQueue {
    memory::SlotNo slot;  // -1: none
    int32 id;
    const char *namespace_name, *name;
    dispatch::WaitingLook waiting;
    SeenNumbers numbers;

    // Returns the rows with this status; -1: unknown.
    int64 count(Status status) const;
};

// What a name is of, and its numbers. Type: name is nullptr for the types that have no entry.
struct SeenNamed {
    const char *namespace_name, *queue;
    const char *name;  // of the type
    Oid role;
    SeenNumbers numbers;
};

// They read saved statistics if shared memory does not have them yet. In the current memory context.
// The tasks that were handed over in the namespaces are filed first. Takes the namespace locks.
std::span<const SeenQueue> seen_queues();
std::span<const SeenNamed> seen_types();
std::span<const SeenNamed> seen_roles();

}  // namespace pgqueue::api
