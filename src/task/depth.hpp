// max_depth: how many unfinished tasks a queue and a namespace may have.
#pragma once
#include "store/catalog.hpp"

namespace pgqueue::task {

// Is there room for `more` tasks of this queue, and for `elsewhere` tasks of the namespace's other queues? kind is
// nullptr when there is.
struct Full {
    const char *kind, *name;
    int64 depth, max_depth;
};
Full no_room_for(const store::NamespaceInfo &ns, const store::QueueInfo &queue, int64 more, int64 elsewhere);

}  // namespace pgqueue::task
