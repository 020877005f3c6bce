// Finds the task that a caller means, and checks what the caller may do with it.
#pragma once
#include "api/call.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "task/where.hpp"

namespace pgqueue::api {

// Returns the queue of a task. Returns nullptr if the task does not exist for the caller: the queue is gone, it is not
// in the named namespace (nullptr: any), or the caller has no right on the namespace.
const store::QueueInfo *seen_queue(const store::TaskRow &row, const char *ns_name);

enum class Access {
    Manage,       // privilege `manage` on the namespace
    ManageOrOwn,  // the same, or `use` for a task that one of the caller's roles created
    Use,          // privilege `use`
    Work,         // privilege `work`
};
// Returns whether the caller has that access to the task. The owner of the namespace has every access.
bool has_access(const store::TaskRow &row, const store::QueueInfo &queue, Access access);
// Returns the queue of a task. Raises 42704 if the task does not exist for the caller, and 42501 if the caller lacks
// the access.
const store::QueueInfo &require_access(const store::TaskRow &row, const char *ns_name, Access access);
// Locks a row that was found, waits for the lock, and reads the row anew. Checks the access before, so that no role
// locks a row of another without it, and after, because queue and rights may have changed. Raises as require_access().
task::QueueRef lock_task(store::TaskRow *row, const char *ns_name, Access access, bool with_body = false);

}  // namespace pgqueue::api
