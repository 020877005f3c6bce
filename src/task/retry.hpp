// What becomes of an attempt that did not succeed.
#pragma once
#include "store/catalog.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {

// Serialization failures, deadlocks and terminated workers are tried again uncounted this often.
constexpr int uncounted_most = 20;

// Retry with its due time in row->delayed_at, or failed. queue: nullptr when it is gone.
Status after_failure(store::TaskRow *row, const store::QueueInfo *queue, int sqlstate, TimestampTz now);

// An attempt that counts for nothing is made again at once.
Status uncounted(store::TaskRow *row);

}  // namespace pgqueue::task
