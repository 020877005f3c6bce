// A task's life: each transition changes the row (store) and announces itself for the commit (task/transition.hpp).
// All functions run in the caller's transaction. State machine: docs/internals/tasks.md.
#pragma once
#include "store/roles.hpp"
#include "task/transition.hpp"
#include "task/where.hpp"

namespace pgqueue::task {

// Inserts tasks of one queue and hands their hints to the commit.
void create(const store::QueueInfo &queue, std::span<const store::NewTask> tasks);

// A retained task's attempt ends: the row, its new status, its outcome. False: somebody else was faster (Wait::Skip
// only).
bool end_attempt(store::TaskRow *row, const End &end, TimestampTz now, store::Wait wait);

// A waiting task becomes retained by this process. False: somebody else was faster. bound: it ends with this process,
// with lease_until 0 only then.
bool retain(store::TaskRow *row, const char *worker, int64 receipt, TimestampTz lease_until, bool bound,
            TimestampTz now);

// A retained task is given back as if it had never been taken: its attempt is not counted; after the commit it takes
// its place.
bool give_back(store::TaskRow *row, Place *place);

// A retained task whose process ended while it ran: not counted as a try, but as a crash; quarantined after
// pgqueue.max_crashes of them.
bool charge_crash(store::TaskRow *row, int sqlstate, const char *message, TimestampTz now);

// A retained task whose process was terminated by an administrator: uncounted, tried again; after many of them it
// counts as a crash.
bool charge_terminated(store::TaskRow *row, TimestampTz now);

// A retained task whose process ended at a limit of the task or of its transaction: an ordinary failure.
bool fail_stopped(store::TaskRow *row, int sqlstate, const char *message, TimestampTz now);

// A waiting task ends without an attempt (cancelled, expired, failed because its role is gone).
bool end_waiting(store::TaskRow *row, Status status, const pg::ErrorReport &error, TimestampTz now, store::Wait wait);

// Fresh retries and ttl for a finished task, or a waiting one made due: status retry (new, when never begun). It goes
// on in `queue`, which is another one than before when it comes back from a dead-letter queue. Returns 0, or the id of
// the unfinished task that has its dedup key by now: then it stays as it is.
int64 revive(store::TaskRow *row, const store::QueueInfo &queue, TimestampTz due, TimestampTz now);

}  // namespace pgqueue::task
