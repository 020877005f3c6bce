// max_depth: how many unfinished tasks a queue and a namespace may have.
#pragma once
#include "task/where.hpp"

namespace pgqueue::task {

// A limit of max_depth that is reached: "queue" or "namespace", its name, its present depth, and the limit. kind
// nullptr: none is reached.
struct Full {
    const char *kind, *name;
    int64 depth, max_depth;
};
// Checks max_depth of the queue and of its namespace for `more` tasks of this queue plus `elsewhere` tasks of the
// namespace's other queues. Records in shared memory since when tasks have been refused, for health.
Full no_room_for(const store::NamespaceInfo &ns, const QueueRef &queue, int64 more, int64 elsewhere);

}  // namespace pgqueue::task
