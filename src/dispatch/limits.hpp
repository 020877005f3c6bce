// How many tasks of a queue and a namespace may be held at once, and how many may start a second. Inside dispatch/
// only, under the namespace's lock unless said otherwise.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Neither paused nor held back by a limit.
bool may_run(const Queue &q);
// Room under max_running now; no lock.
bool has_room(const Namespace &ns);
bool has_room(const Queue &q);
// How many of `most` tasks may be taken; 0: the queue or namespace is marked, and looked at again when that may have
// changed.
int32 room_of_namespace(Namespace *ns, int32 most);
int32 room_of_queue(Queue *q, int32 most);
// Takes places for n tasks.
void reserve(Queue *q, Namespace *ns, int32 n);

}  // namespace pgqueue::dispatch
