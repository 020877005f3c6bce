// The queues whose statistics the caller may see.
#pragma once
#include "dispatch/look.hpp"

namespace pgqueue::api {

struct SeenQueue {
    memory::SlotNo slot;
    int32 id;
    const char *namespace_name, *name;
    dispatch::WaitingLook waiting;
};
// Returns the queues of this database in namespaces in which the caller has read or manage, or which it owns; all of
// them for pg_monitor. The tasks that were handed over in these namespaces are filed first. Takes the namespace locks.
// In the current memory context.
std::span<const SeenQueue> seen_queues();

}  // namespace pgqueue::api
