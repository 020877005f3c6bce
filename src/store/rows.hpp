// The rows of tasks: insert, fetch and change by tuple id. The row's lock decides between processes; nothing here uses
// shared memory. All functions run inside the caller's transaction and write as the server itself, without privilege
// checks, which api/ makes. They raise on I/O or memory trouble, and where a comment says so. Times are TimestampTz in
// microseconds. A segment slot is 0..5 (store/segments.hpp).
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

// A task's row as read. Variable parts are copied into the current memory context if `with_body`.
struct TaskRow {
    TaskRef ref;          // root tuple
    ItemPointerData tid;  // this version
    TransactionId xmin;   // the transaction that wrote this version: shows whether tid is still that version
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

// The end of an attempt, stored beside the segment.
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

// Returns the hash by which shared memory knows a group key; 0 only for nullptr.
uint64 hash_of_group(const text *key);

// Inserts tasks into the current segment, in bulk if they are many. Fills refs[i] for tasks[i].
void insert(std::span<const NewTask> tasks, TaskRef *refs);

// Returns the next id of the sequence.
int64 next_id();
// Fills `ids` with as many ids of the sequence, in ascending order.
void next_ids(std::span<int64> ids);

enum class Wait { Skip, Block };  // skip a row that another transaction holds, or wait for it
enum class Locked {
    Yes,
    ByOther,
    Gone
};  // ByOther: another transaction holds it (Skip only); Gone: not there (any more) under a fresh snapshot

// Reads the newest committed (or own) version by ref, or else by the primary keys of all segments. Takes no row lock.
// Returns false if there is no such row.
bool fetch(const TaskRef &ref, bool with_body, TaskRow *row);
// The same with the relation lock of writers. For rows that are changed next this is cheaper.
bool fetch_to_change(const TaskRef &ref, bool with_body, TaskRow *row);
// Returns the type of a task's newest version, in the current memory context; nullptr: it has none, or there is no such
// row.
char *fetch_type(const TaskRef &ref);
// Returns the worker's name in the version that was read; nullptr: none.
char *worker_name(const TaskRow &row);
// The same as fetch(), by id alone.
bool find(int64 id, bool with_body, TaskRow *row);
// Reads and locks the row for update. With Wait::Block it waits, and follows the row to its last version. Raises 40001
// if the row moves again and again.
Locked lock(const TaskRef &ref, Wait wait, bool with_body, TaskRow *row);
Locked lock_by_id(int64 id, Wait wait, bool with_body, TaskRow *row);

// Writes the changed fields of fixed width of `row` (queue_id, status, flags, attempt, uncounted, retries, crashes,
// priority, pid, origin_queue_id, epoch, receipt, delayed_at, dies_at, started_at, finished_at, lease_until). If
// `worker` is not nullptr, also writes the worker's name ("" clears it). The row must have been read by fetch or lock
// in this transaction. Wait::Skip returns false, with nothing changed, if another transaction has changed or holds the
// row since. Wait::Block is for rows locked before, and raises 40001 in that case. Updates row->tid and, if the update
// was not HOT, row->ref.
bool update(TaskRow *row, const char *worker, Wait wait);

// Parts of a waiting task to replace. A part with set=false stays.
struct BodyChange {
    bool set_payload, set_headers, set_group_key;
    Jsonb *payload, *headers;
    text *group_key;
    bool set_type, set_command;
    text *type, *command;
};
// Replaces parts of a row that the caller has locked. Raises 40001 if another transaction has changed it.
void update_body(TaskRow *row, const BodyChange &change);

// Deletes a row that the caller has locked. Raises 40001 if another transaction has changed it.
void remove(TaskRow *row);

// Appends the end of the row's current attempt, and its time, to the outcome table of the row's segment. Raises 40001
// if the segment was condemned.
void append_outcome(const TaskRow &row, const OutcomeRow &outcome, TimestampTz end);
// Deletes the task's oldest ended attempts beyond `keep`. Leaves those that another transaction holds.
void trim_outcomes(const TaskRow &row, int keep);

}  // namespace pgqueue::store
