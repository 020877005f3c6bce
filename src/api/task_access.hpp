// Which task a caller means, and what he may do with it.
#pragma once
#include "api/call.hpp"
#include "store/rows.hpp"

namespace pgqueue::api {

// The queue of a task; nullptr when for the caller there is no such task: the queue is gone, it is not in the namespace
// that he named (nullptr: any), or he has no right on that.
const store::QueueInfo *seen_queue(const store::TaskRow &row, const char *ns_name);

enum class Access {
    Manage,       // right `manage` on the namespace
    ManageOrOwn,  // the same, or `use` for a task that a role of the caller created
    Use,          // `use`
    Work,         // `work`
};
bool has_access(const store::TaskRow &row, const store::QueueInfo &queue, Access access);
// The queue of a task. 42704 as above; 42501 when the caller sees the task and lacks the right.
const store::QueueInfo &require_access(const store::TaskRow &row, const char *ns_name, Access access);
// Locks the row that was found, and waits for whoever holds it; reads it anew. Access is checked before, so that nobody
// locks the row of somebody else, and again after, as queue and rights may have changed meanwhile.
const store::QueueInfo &lock_task(store::TaskRow *row, const char *ns_name, Access access, bool with_body = false);

}  // namespace pgqueue::api
