// Decides what follows an attempt that did not succeed.
#pragma once
#include "store/catalog.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {

// Serialization failures, deadlocks and terminations of the worker are retried uncounted at most this often.
constexpr int max_uncounted = 20;

// Returns Retry, with the due time in row->delayed_at, or Failed. May increment row->uncounted. queue nullptr: it was
// deleted.
Status after_failure(const store::QueueInfo *queue, store::TaskRow *row, int sqlstate, TimestampTz now);

// Returns Retry, due at once, for an attempt that does not count. Increments row->uncounted.
Status uncounted(store::TaskRow *row);

}  // namespace pgqueue::task
