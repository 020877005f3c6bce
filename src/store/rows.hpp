// What a row of a task contains. Functions that insert, find and change rows are in rows_insert.hpp, rows_find.hpp and
// rows_write.hpp. All run inside the caller's transaction, use no shared memory, and write as the server itself,
// without privilege checks, which api/ makes. They raise on I/O or memory trouble, and where a comment says so. Times
// are TimestampTz in microseconds. A segment slot is 0..5 (store/segments.hpp).
#pragma once
#include "core/costs.hpp"
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

// What a row says of an attempt that has ended and has no outcome row.
struct LastAttempt {
    Costs costs;
    const Jsonb *result;  // nullptr none
};
// A larger result needs an outcome row.
constexpr Size most_result_in_row = 256;

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
    uint64 type_hash;         // core/type_hash.hpp
    TimestampTz delayed_at;   // 0 none
    TimestampTz dies_at;      // 0 none
    TimestampTz started_at;   // 0 none
    TimestampTz finished_at;  // 0 none
    TimestampTz lease_until;  // 0 none
    const LastAttempt *last;  // only written; nullptr: as it is, and empty while retained
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
    const Jsonb *result;    // nullptr none
    Costs costs;
    ArrayType *messages;  // text[], nullptr none
};

// Returns the hash by which shared memory knows a group key; 0 only for nullptr.
uint64 hash_of_group(const text *key);

enum class Wait { Skip, Block };  // skip a row that another transaction holds, or wait for it
enum class Locked {
    Yes,
    ByOther,  // another transaction holds it (Skip only)
    Gone      // there is no such row under a fresh snapshot
};

}  // namespace pgqueue::store
