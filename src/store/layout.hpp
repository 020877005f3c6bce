// The layout of a task's row in its tuple (sql/02_tables.sql): a fixed block, five times and seven costs that may be
// NULL, and eleven parts of variable length. The block, each time and each cost are multiples of 8 bytes, so the parts
// stay aligned whichever of them are NULL.
#pragma once
#include "store/rows.hpp"
#include "store/rows_write.hpp"

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
enum NumberColumn {
    delayed_at,
    dies_at,
    started_at,
    finished_at,
    lease_until,
    cpu_us,
    wal_bytes,
    blocks_hit,
    blocks_read,
    blocks_dirtied,
    temp_bytes,
    row_count,
    number_columns
};
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
    result,
    body_columns
};
constexpr int row_columns = fixed_columns + number_columns + body_columns;
constexpr int first_body_column = fixed_columns + number_columns;

// Returns how an image says that a number is NULL.
constexpr int64 null_of(int column) { return column == row_count ? -1 : 0; }

// The columns of a row. A part is nullptr if it is NULL. Parts may be plain, short, compressed or toast pointers, and
// are stored as they are.
struct RowImage {
    FixedPart fixed;
    int64 numbers[number_columns];
    const varlena *body[body_columns];
};

// Returns the fixed block of a tuple.
inline const FixedPart *fixed_part(HeapTupleHeader t) {
    return reinterpret_cast<const FixedPart *>(reinterpret_cast<const char *>(t) + t->t_hoff);
}

// Builds the tuple of an image, in the current memory context.
HeapTuple form_row(const RowImage &image);
// Reads all columns of a tuple. Parts point into the tuple.
void deform_row(HeapTupleHeader tuple, RowImage *image);
// Reads the columns of fixed width, and the times, into `row`. Costs are not read.
void read_row(HeapTuple tuple, int slot, const ItemPointerData &root, TaskRow *row);
// Copies type, command and payload into the current memory context.
void read_body(HeapTuple tuple, TaskRow *row);
// Returns a copy of the type, in the current memory context; nullptr: it is NULL.
char *read_type(HeapTuple tuple);
// Builds the next version of a row: changeable columns from `row`, the worker if it is not nullptr, the body if
// `change` is given. All other columns keep their values.
HeapTuple next_version(HeapTuple old, const TaskRow &row, const char *worker, const BodyChange *change);

}  // namespace pgqueue::store
