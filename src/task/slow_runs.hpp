// Which runs view slow_task keeps.
#pragma once
#include "task/announce.hpp"

namespace pgqueue::task {

// Keeps an attempt that has ended if it is one of the slowest or dearest of its namespace. before, after: its row.
void note_slow_run(const QueueRef &queue, const store::TaskRow &before, const store::TaskRow &after, const End &end,
                   TimestampTz now);

}  // namespace pgqueue::task
