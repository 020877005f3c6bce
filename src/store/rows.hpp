// The rows of tasks: insert, fetch and change by tuple id. The row's lock is the arbiter; nothing here knows shared
// memory. All functions run inside the caller's transaction, write as the server itself (no privilege checks: api/ has
// made them) and raise on I/O or memory trouble only. Times are TimestampTz in microseconds. A segment slot is 0..5
// (store/segments.hpp).
#pragma once
#include "core/status.hpp"
#include "core/task_ref.hpp"
#include "pg/backend.hpp"
#include "pg/error.hpp"

namespace pgqueue::store {

using pgqueue::TaskRef;

// One task to create. Text and json point into the caller's memory.
struct NewTask {
    int64 id;
    int32 queue_id;
    int32 role_id;
    int32 priority;
    int32 retries;
    TimestampTz created_at;
    TimestampTz delayed_at;  // 0 none
    TimestampTz dies_at;     // 0 none
    int64 run_limit;         // microseconds, -1 the queue's, 0 none
    int16 flags;             // flag_command and the like (core/status.hpp)
    text *type;              // nullptr none, as all below
    text *group_key;
    text *dedup_key;
    text *batch_key;
    text *ticker;
    text *command;
    Jsonb *payload;
    Jsonb *headers;
    ArrayType *depends_on;
};

// A task's row as read; variable parts are copied into the current memory context when `with_body`.
struct TaskRow {
    TaskRef ref;          // root tuple
    ItemPointerData tid;  // this version
    TransactionId xmin;   // who wrote this version: tells whether tid is still that version
    int32 queue_id;
    int32 role_id;
    Status status;
    int16 flags;
    int32 attempt;
    int32 uncounted;
    int32 retries;
    int32 crashes;
    int32 priority;
    int32 pid;
    int32 origin_queue_id;
    int64 epoch;
    int64 receipt;
    TimestampTz created_at;
    int64 run_limit;
    uint64 group;             // hash_of_group of its group key
    TimestampTz delayed_at;   // 0 none
    TimestampTz dies_at;      // 0 none
    TimestampTz started_at;   // 0 none
    TimestampTz finished_at;  // 0 none
    TimestampTz lease_until;  // 0 none
    char *type;
    char *group_key;
    char *command;
    Jsonb *payload;
    Jsonb *headers;
    text *dedup_key;
    text *batch_key;
    ArrayType *depends_on;
};

// The end of an attempt, appended beside the segment.
struct OutcomeRow {
    AttemptEnd outcome;
    const char *worker;     // nullptr none
    const char *role;       // nullptr none
    pg::ErrorReport error;  // sqlstate 0 and message nullptr: none
    Jsonb *result;          // nullptr none
    double cpu_seconds;     // < 0 unknown
    int64 wal_bytes;        // < 0 unknown
    int64 row_count;        // < 0 unknown
};

// What the dispatcher knows a group key by; 0 for nullptr, never else.
uint64 hash_of_group(const text *key);

// Inserts tasks into the current segment; fills refs[i] for tasks[i]. One pass, multi-insert for many.
void insert(std::span<const NewTask> tasks, TaskRef *refs);

// Takes the next id of the sequence.
int64 next_id();
// Takes as many, one after the other.
void next_ids(std::span<int64> ids);

enum class Wait { Skip, Block };  // skip a row that somebody holds, or wait for it
enum class Locked {
    Yes,
    Held,
    Gone
};  // Held: somebody holds it (Skip only); Gone: not there (any more) under a fresh snapshot

// Reads the newest committed (or own) version by ref, falling back to the primary keys of all segments. Takes no lock.
// False: no such row.
bool fetch(const TaskRef &ref, bool with_body, TaskRow *row);
// The same with the relation lock of writers: for many rows that are changed next it is cheaper, the transaction has it
// from the first on.
bool fetch_to_change(const TaskRef &ref, bool with_body, TaskRow *row);
// The type of a task's newest version, in the current memory context; nullptr: it has none, or there is no such row.
char *fetch_type(const TaskRef &ref);
// The worker's name in the version that was read; nullptr none.
char *worker_name(const TaskRow &row);
// Finds by id alone.
bool find(int64 id, bool with_body, TaskRow *row);
// As fetch, and locks the row for update; with Wait::Block it follows the row to its last version.
Locked lock(const TaskRef &ref, Wait wait, bool with_body, TaskRow *row);
Locked lock_by_id(int64 id, Wait wait, bool with_body, TaskRow *row);

// Writes the changed fixed-width fields of row (queue_id, status, flags, attempt, uncounted, retries, crashes,
// priority, pid, origin_queue_id, epoch, receipt, delayed_at, dies_at, started_at, finished_at, lease_until) and, when
// `worker` is not nullptr, the worker's name ("" clears it). The row must have been read by fetch or lock in this
// transaction. Wait::Skip returns false, with nothing changed, when another transaction has changed or holds the row
// since; Wait::Block is for rows locked before and raises when that happens. Updates row->tid and, when the update was
// not HOT, row->ref.
bool update(TaskRow *row, const char *worker, Wait wait);

// Replaces parts of a waiting task (nullptr pointers with set=false leave them).
struct BodyChange {
    bool set_payload, set_headers, set_group_key;
    Jsonb *payload, *headers;
    text *group_key;
    bool set_type, set_command;
    text *type, *command;
};
void update_body(TaskRow *row, const BodyChange &change);

// Deletes the row (locked or own before).
void remove(TaskRow *row);

// Appends the end (and its time) of row's current attempt to the outcome table of its segment.
void append_outcome(const TaskRow &row, const OutcomeRow &outcome, TimestampTz end);
// Drops the oldest ended attempts of the task beyond `keep`.
void trim_outcomes(const TaskRow &row, int keep);

}  // namespace pgqueue::store
