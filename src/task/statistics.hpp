// What a change of a task's state adds to the statistics of its queue (memory/statistics.hpp).
#pragma once
#include "task/announce.hpp"

namespace pgqueue::task {

void add_to_statistics(const Transition &t);
void add_created_to_statistics(const QueueRef &queue, int32 count, int64 bytes);

}  // namespace pgqueue::task
