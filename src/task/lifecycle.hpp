// A task's life: each transition changes the row (store) and notes for the commit what shared memory has to know (dispatch).
// All functions run in the caller's transaction. State machine: docs/internals/tasks.md.
#pragma once
#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "store/catalog.hpp"
#include "store/roles.hpp"
#include "store/rows.hpp"

namespace pgqueue::task {

using dispatch::SlotNo;

// What the dispatcher has to know of a queue.
dispatch::QueueConfig config_of(const store::QueueInfo &queue);

// The dispatcher's entry of a queue in this database, configured when it was new; -1 while shared memory or the database is not served at all.
SlotNo slot_of(const store::QueueInfo &queue);
// The lane for tasks of a queue: of the role when the server runs them, else of outside workers. -1 as above.
SlotNo lane_of(const store::QueueInfo &queue, int32 role_id, bool in_server);

// The lane for a row: in the server, that of the role whose workers run it (task/route.hpp).
SlotNo lane_of_row(const store::QueueInfo &queue, const store::TaskRow &row);

bool runs_in_server(const store::QueueInfo &queue, int16 flags);

// What max_depth of a queue, or of its namespace, leaves no room for so many more tasks of the queue, and as many of others of the namespace; kind nullptr: there is
// room.
struct Full {
    const char *kind, *name;
    int64 depth, max_depth;
};
Full no_room_for(const store::NamespaceInfo &ns, const store::QueueInfo &queue, int64 more, int64 elsewhere);

// Inserts tasks of one queue and hands their hints to the commit.
void create(const store::QueueInfo &queue, std::span<const store::NewTask> tasks);

// Where a waiting task of the queue is to be filed. False: nowhere.
bool hint_of(const store::QueueInfo &queue, const store::TaskRow &row, dispatch::Comes comes, dispatch::Hint *hint);

// The row goes back to the ready lists or the due heap at commit; status is new or retry already. comes: to its group.
void hint_again(const store::TaskRow &row, dispatch::Comes comes);

// The row as it was, or as it is, counts among those without a hint when it is one: by -1 before a change, by 1 after it.
void count_unhinted(const store::TaskRow &row, int by);

// A waiting task ends or changes its group without having been taken from it.
void note_left_group(const store::TaskRow &row);

// The caller holds the lock of this row: should its transaction abort, a waiting task is hinted again.
void touch(const store::TaskRow &row);

// The caller has locked this row and leaves it as it is: who met the lock has dropped its hint, so a waiting task is hinted again.
void let_go(const store::TaskRow &row);

// Writes the row with its new status; counts, waiters and outcome follow. False: somebody else was faster (Wait::Skip only).
struct End {
    AttemptEnd outcome;
    Status status;          // new status of the task
    pg::ErrorReport error;
    Jsonb *result;
    const char *worker, *role;
    double cpu_seconds;     // < 0 unknown
    int64 wal_bytes, row_count;
    bool only_if_told;      // no outcome row when there is neither result nor error: the task's row says all
};
bool end_attempt(store::TaskRow *row, const End &end, TimestampTz now, store::Wait wait);

// A waiting task becomes retained by this process. False: somebody else was faster. bound: it ends with this process, with lease_until 0 only then.
bool retain(store::TaskRow *row, const char *worker, int64 receipt, TimestampTz lease_until, bool bound, TimestampTz now);

// The place that a task was taken from: it is the first of its list again, or of its group. Found inside a transaction, taken after the commit.
struct Place {
    bool known = false;
    dispatch::Hint hint{};
};
Place place_of(const store::TaskRow &row);
inline void take_place(const Place &place) {
    if (place.known) dispatch::return_ready(place.hint);
}

// A retained task is given back as if it had never been taken: its attempt is not counted; after the commit it takes its place.
bool give_back(store::TaskRow *row, Place *place);

// A retained task whose process ended while it ran: not counted as a try, but as a crash; quarantined after pgqueue.max_crashes of them.
bool charge_crash(store::TaskRow *row, int sqlstate, const char *message, TimestampTz now);

// A retained task whose process was terminated by an administrator: uncounted, tried again; after many of them it counts as a crash.
bool charge_terminated(store::TaskRow *row, TimestampTz now);

// A retained task whose process ended at a limit of the task or of its transaction: an ordinary failure.
bool fail_stopped(store::TaskRow *row, int sqlstate, const char *message, TimestampTz now);

// A waiting task ends without an attempt (cancelled, expired, failed because its role is gone).
bool end_waiting(store::TaskRow *row, Status status, const pg::ErrorReport &error, TimestampTz now, store::Wait wait);

// Fresh retries and ttl for a finished task, or a waiting one made due: status retry (new, when never begun). It goes on in `queue`, which is
// another one than before when it comes back from a dead-letter queue. Returns 0, or the id of the unfinished task that has its dedup key by now:
// then it stays as it is.
int64 revive(store::TaskRow *row, const store::QueueInfo &queue, TimestampTz due, TimestampTz now);

}  // namespace pgqueue::task
