// How a task's row lies in its tuple (sql/02_tables.sql): a fixed block, five times that may be NULL, ten parts of
// variable length. The block and each time are multiples of 8 bytes, so the parts keep their alignment when times come
// and go.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

struct FixedPart {
    int64 id;
    int32 queue_id;
    int32 role_id;
    int16 status;
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
};
static_assert(sizeof(FixedPart) == 80 && offsetof(FixedPart, epoch) == 48 && std::is_trivially_copyable_v<FixedPart>);

constexpr int fixed_columns = 16;
enum TimeColumn { delayed_at, dies_at, started_at, finished_at, lease_until, time_columns };
enum BodyColumn {
    worker,
    type,
    group_key,
    dedup_key,
    batch_key,
    ticker,
    command,
    payload,
    headers,
    depends_on,
    body_columns
};
constexpr int row_columns = fixed_columns + time_columns + body_columns;
constexpr int first_body_column = fixed_columns + time_columns;

// Times are 0 and parts are nullptr when NULL. Parts may be plain, short, compressed or toast pointers; they are stored
// as they are.
struct RowImage {
    FixedPart fixed;
    TimestampTz times[time_columns];
    const varlena *body[body_columns];
};

inline const FixedPart *fixed_part(HeapTupleHeader t) {
    return reinterpret_cast<const FixedPart *>(reinterpret_cast<const char *>(t) + t->t_hoff);
}

// Makes the tuple of an image in the current memory context.
HeapTuple form_row(const RowImage &image);
// Takes a tuple apart; parts point into it.
void deform_row(HeapTupleHeader tuple, RowImage *image);
// Reads the columns of fixed width (and the times).
void read_row(HeapTuple tuple, int slot, const ItemPointerData &root, TaskRow *row);
// Copies type, command and payload into the current memory context.
void read_body(HeapTuple tuple, TaskRow *row);
// Copies the type alone.
char *read_type(HeapTuple tuple);
// The next version of a row: changeable columns from `row`, the worker when not nullptr, the body when `change` is
// given, all else as it was.
HeapTuple next_version(HeapTuple old, const TaskRow &row, const char *worker, const BodyChange *change);

}  // namespace pgqueue::store
