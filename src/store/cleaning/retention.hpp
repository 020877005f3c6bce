// How long finished rows stay, and what happens to them then.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

// What happens to the finished rows of a queue. gone: the queue was deleted, so all its rows are garbage at once. The
// caller sets it only if the table of queues has no such queue.
struct QueueEnd {
    bool gone;
    int64 retention;  // microseconds after finished_at; -1 for ever
    bool archive;
};
using QueueEndLookup = QueueEnd (*)(void *arg, int32 queue_id);

enum class Fate { Keep, Archive, Drop };
// Decides about a row by its status and by the queue's rule for finished rows. at: the time to judge by.
Fate fate_of(const QueueEnd &end, const TaskRow &row, TimestampTz at);

}  // namespace pgqueue::store
