// max_priorities of a namespace. Without a number it has the fair part of the lists that order tasks by priority, and
// further priorities share lists: nothing is refused. With one, a task of a further priority is.
#pragma once
#include "store/catalog.hpp"

namespace pgqueue::task {

// Raises 53400 when a task of this priority, ready at once, is one priority too many for the namespace of its queue.
void check_priority(const store::NamespaceInfo &ns, const store::QueueInfo &queue, int32 priority);

}  // namespace pgqueue::task
