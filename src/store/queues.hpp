// Queues as this process sees them. Pointers stay valid until the transaction ends. Queues are many, and a process
// needs few of them: each is read when needed, and again after a change.
#pragma once
#include "core/backoff.hpp"
#include "core/dispatch_settings.hpp"
#include "pg/backend.hpp"

namespace pgqueue::store {

using pgqueue::Backoff;
enum class OnFinish { Keep, Archive, Delete };

// Intervals in microseconds; a month counts 30 days.
struct QueueInfo : QueueSettings {
    int32 id, ns_id;
    const char *name;
    int32 priority;
    int64 ttl;  // -1 never expires
    int32 retries;
    int64 retry_delay, max_retry_delay;
    Backoff backoff;
    double retry_jitter;
    int64 lease;
    int64 run_limit;          // 0 none
    const char *dead_letter;  // nullptr none
    int64 retention;          // -1 for ever
    OnFinish on_finish;
};

// Return nullptr if there is no such queue. They read the table if the cache may be behind.
const QueueInfo *queue_by_name(int32 ns_id, const char *name);
const QueueInfo *queue_by_id(int32 id);
// Reads the table always: also sees a queue that was deleted by a commit whose invalidation is not sent yet.
const QueueInfo *read_queue_by_id(int32 id);
// Returns the namespace of a queue as a snapshot sees it, also if the queue has been deleted since; 0: it sees none.
int32 namespace_of_queue(int32 id, Snapshot snapshot);
// Returns a queue that existed a moment ago. Raises 42704 if it has been deleted since.
const QueueInfo &queue_there(int32 id);

// Returns all queues that the table has now, in the current memory context. Reads the table: for rare use.
std::span<const QueueInfo> read_queues();
// Returns the number of queues in a namespace. Reads the table: for rare use.
int64 count_queues(int32 ns_id);

// Returns a relation of schema pgqueue_internal. Raises 55000 if the extension is not installed. Inside store/ only.
Oid internal_relation(const char *name);

// Makes the next look-up of a queue read the table.
void forget_queues();

// Registers the callbacks for invalidations of the table of queues. Called once per process.
void register_queue_callbacks();

}  // namespace pgqueue::store
