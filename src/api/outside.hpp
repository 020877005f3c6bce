// Shared by the functions of outside workers.
#pragma once
#include "memory/registry.hpp"
#include "store/catalog.hpp"
#include "task/ending.hpp"

namespace pgqueue::api {

// Slots of the named queues of a namespace; a NULL or empty array names all. Unknown names are errors.
std::span<const memory::SlotNo> queue_slots(const store::NamespaceInfo &ns, ArrayType *names);
// Whether the caller holds it because his session took it. Code of another role in that session does not.
bool is_lease_of_session(const memory::Lease &lease);
// The run of this task, when it is what calls: the innermost in this session, with the rights of its role. nullptr: it
// is not.
task::OwnRun *own_run_of(int64 id, const char *ns_name);
// The dispatcher's entry of a namespace.
memory::SlotNo namespace_slot(const store::NamespaceInfo &ns);

}  // namespace pgqueue::api
