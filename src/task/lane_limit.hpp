// The part of the lanes that a namespace may have: at most as many as are free for all namespaces.
#pragma once
#include "store/rows.hpp"
#include "task/where.hpp"

namespace pgqueue::task {

// Raises 53400 when a new task needs a lane that its queue has not, and the namespace has its part. Waits up to two
// seconds for pages of idle lanes. For callers of
// SQL functions only: what the scheduler and the workers have to file is always filed.
void check_lane(const store::NamespaceInfo &ns, const QueueRef &queue, const store::NewTask &task);

}  // namespace pgqueue::task
