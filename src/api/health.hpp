// Problems for view health, and the functions that write them.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"

namespace pgqueue::api {

// A row of the view. ns_id, queue_id: of one of them, 0 none; pid: of the session to blame, 0 none; since: 0 not known.
struct Problem {
    const char *severity, *word, *message, *hint;
    int32 ns_id = 0, queue_id = 0;
    int pid = 0;
    TimestampTz since = 0;
};

// Adds the row.
void put(ReturnSetInfo *info, const Problem &problem);

// Returns "1 ready task waits", "2 ready tasks wait".
const char *waiting(int64 ready);
// Returns "is" or "are".
const char *are(int64 n);
// Returns a time of the monotonic clock as a time of the wall clock; 0 stays 0.
TimestampTz shown(const pg::Atomic<int64> *monotonic, const pg::Moment &now);

// What is owed for longer than this, in microseconds, is a problem.
constexpr int64 owed_patience = 5 * int64(USECS_PER_SEC);
// Returns the statement that ends a session.
const char *end_session(pid_t pid);

// A queue that is looked at.
struct HealthCase {
    memory::SlotNo queue;
    const store::NamespaceInfo *ns;
    const store::QueueInfo *info;
    TimestampTz now;
};
// Write that ready tasks wait for longer than pgqueue.health_wait, that pgqueue.health_failures failed tasks are kept,
// and that a paused namespace has waiting tasks.
void put_late(ReturnSetInfo *info, const HealthCase &c);
void put_failed_pile(ReturnSetInfo *info, const HealthCase &c);
void put_paused_namespace(ReturnSetInfo *info, memory::SlotNo no, const store::NamespaceInfo &known);

// Write what is wrong with a queue, with a namespace.
void put_queue(ReturnSetInfo *info, memory::SlotNo queue);
void put_namespace(ReturnSetInfo *info, memory::SlotNo ns);

}  // namespace pgqueue::api
