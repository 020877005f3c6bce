// A task's life: each transition changes the row (store) and announces itself for the commit (task/announce.hpp).
// All functions run in the caller's transaction. `queue` is the queue of the row, as the row says. State machine:
// docs/internals/tasks.md.
#pragma once
#include "store/roles.hpp"
#include "store/rows.hpp"
#include "task/announce.hpp"
#include "task/where.hpp"

namespace pgqueue::task {

// Inserts tasks of one queue and hands their hints to the commit.
void create(const QueueRef &queue, std::span<const store::NewTask> tasks);

// Ends the attempt of a retained task: writes its row, its new status and its outcome. Returns false, with nothing
// written, if another transaction has changed or holds the row (Wait::Skip only).
bool end_attempt(const QueueRef &queue, store::TaskRow *row, const End &end, TimestampTz now, store::Wait wait);

// How long a retained task is held.
enum class Held {
    ForATime,  // until lease_until
    Bound,     // until this process ends, or until lease_until (0: none)
    Claimed,   // until this process ends; it may be given back before it begins (count_start)
};
// Makes a waiting task retained by this process. Returns false if another transaction was faster.
bool retain(const QueueRef &queue, store::TaskRow *row, const char *worker, int64 receipt, TimestampTz lease_until,
            Held held, TimestampTz now);

// Gives a retained task back as if it had never been taken: its attempt is not counted. *place is where the caller
// files the task after the commit. Returns false if another transaction was faster.
bool give_back(const QueueRef &queue, store::TaskRow *row, Origin *place);

// Ends a waiting task without an attempt: cancelled, expired, or failed because its role is gone. An error with a
// message also gets an outcome. Returns false if another transaction has changed or holds the row (Wait::Skip only).
bool end_waiting(const QueueRef &queue, store::TaskRow *row, Status status, const pg::ErrorReport &error,
                 TimestampTz now, store::Wait wait);

// Makes a finished task unfinished, with fresh retries and ttl, or makes a waiting task due. due: 0 at once. The status
// becomes retry, or new if the task has never begun. The task continues in `to`, which is another queue than `queue`
// if it returns from a dead-letter queue. Returns 0, or the id of the unfinished task that holds its dedup key: then
// the row is not written. The caller has locked the row.
int64 revive(const QueueRef &queue, const QueueRef &to, store::TaskRow *row, TimestampTz due, TimestampTz now);

}  // namespace pgqueue::task
