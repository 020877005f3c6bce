#include "task/retry.hpp"

#include "store/queues.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {
namespace {

constexpr int64 collision_wait = 10 * 1000;

double random_fraction() { return static_cast<double>(pg_prng_double(&pg_global_prng_state)); }

// Returns whether existing tasks of the queue follow a changed number of retries, as in the extension
// pg_background_queue.
bool retries_follow(const store::QueueInfo &queue) {
    const store::NamespaceInfo *ns = store::namespace_by_id(queue.ns_id);
    return ns != nullptr && strcmp(ns->name, store::background_namespace) == 0;
}

}  // namespace

Status after_failure(const store::QueueInfo *queue, store::TaskRow *row, int sqlstate, TimestampTz now) {
    bool collision = sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE || sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED;
    if (collision && row->uncounted < max_uncounted) {
        row->uncounted++;
        row->delayed_at = now + static_cast<int64>(collision_wait * (1 + random_fraction()));
        return Status::Retry;
    }
    int32 counted = row->attempt - row->uncounted;
    int32 retries = queue != nullptr && retries_follow(*queue) ? queue->retries : row->retries;
    if (counted > retries) return Status::Failed;
    row->delayed_at = now;
    if (queue != nullptr)
        row->delayed_at += backoff_wait(queue->backoff, queue->retry_delay, counted, queue->max_retry_delay,
                                        queue->retry_jitter, random_fraction());
    return Status::Retry;
}

Status uncounted(store::TaskRow *row) {
    row->uncounted++;
    row->delayed_at = 0;
    return Status::Retry;
}

}  // namespace pgqueue::task
