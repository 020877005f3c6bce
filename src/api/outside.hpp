// Functions shared by the API for outside workers.
#pragma once
#include "memory/registry.hpp"
#include "store/catalog.hpp"
#include "task/own_run.hpp"

namespace pgqueue::api {

// Returns the entries of the named queues of a namespace. NULL or an empty array means all queues: returns no entries.
// Raises 42704 for unknown names and 22004 for NULL.
std::span<const memory::SlotNo> queue_slots(const store::NamespaceInfo &ns, ArrayType *names);
// Returns whether the caller holds the lease because this session took it. Code of another role in this session does
// not hold it.
bool is_lease_of_session(const memory::Lease &lease);
// Returns the run of this task if the call comes from inside it: it is the innermost run of this session, and the
// caller has the rights of its role. Otherwise nullptr. ns_name: the namespace that the caller named, nullptr any.
task::OwnRun *own_run_of(int64 id, const char *ns_name);
// Returns the entry of a namespace, created if missing. Raises 53200 if a table is full.
memory::SlotNo namespace_slot(const store::NamespaceInfo &ns);

}  // namespace pgqueue::api
