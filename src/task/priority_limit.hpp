// max_priorities of a namespace. Without a number, the namespace has its fair part of the lists that order tasks by
// priority. Further priorities then share lists, and no task is refused. With a number, a task of a further priority is
// refused.
#pragma once
#include "task/where.hpp"

namespace pgqueue::task {

// Raises 53400 if a task of this priority, ready at once, would be one priority too many for the namespace of its
// queue.
void check_priority(const store::NamespaceInfo &ns, const QueueRef &queue, int32 priority);

}  // namespace pgqueue::task
