#include "store/layout.hpp"

#include "core/type_hash.hpp"
#include "pg/guards.hpp"
#include "store/rows.hpp"
#include "store/rows_write.hpp"

namespace pgqueue::store {
namespace {

// Returns the bytes before the data.
constexpr std::size_t header_size(bool has_nulls) {
    return MAXALIGN(SizeofHeapTupleHeader + (has_nulls ? BITMAPLEN(row_columns) : 0));
}
// Returns the alignment of a part with a long header.
constexpr std::size_t body_alignment(int column) { return column == depends_on ? 8 : 4; }

// Rounds up to a multiple of a power of two.
std::size_t align_up(std::size_t at, std::size_t to) { return (at + to - 1) & ~(to - 1); }

// Returns the end of a part at offset `at`, including padding. The header is short if possible, as in the server.
std::size_t end_of_part(const varlena *v, int column, std::size_t at) {
    if (VARATT_IS_EXTERNAL(v) || VARATT_IS_SHORT(v)) return at + VARSIZE_ANY(v);
    if (VARATT_CAN_MAKE_SHORT(v)) return at + VARATT_CONVERTED_SHORT_SIZE(v);
    return align_up(at, body_alignment(column)) + VARSIZE(v);
}

// Writes a part at offset `at` of the data, and returns its end.
std::size_t write_part(const varlena *v, int column, char *data, std::size_t at) {
    if (VARATT_IS_EXTERNAL(v) || VARATT_IS_SHORT(v)) {
        memcpy(data + at, v, VARSIZE_ANY(v));
        return at + VARSIZE_ANY(v);
    }
    if (VARATT_CAN_MAKE_SHORT(v)) {
        std::size_t size = VARATT_CONVERTED_SHORT_SIZE(v);
        SET_VARSIZE_SHORT(data + at, size);
        memcpy(data + at + 1, VARDATA(v), size - 1);
        return at + size;
    }
    std::size_t start = align_up(at, body_alignment(column));
    memset(data + at, 0, start - at);
    memcpy(data + start, v, VARSIZE(v));
    return start + VARSIZE(v);
}

// Returns the length of an image's data, and whether it has NULLs, variable and toasted parts.
std::size_t measure(const RowImage &image, bool *nulls, bool *variable, bool *external) {
    std::size_t at = sizeof(FixedPart);
    for (int c = 0; c < number_columns; c++)
        if (image.numbers[c] != null_of(c))
            at += sizeof(int64);
        else
            *nulls = true;
    for (int c = 0; c < body_columns; c++) {
        const varlena *v = image.body[c];
        if (v == nullptr) {
            *nulls = true;
            continue;
        }
        *variable = true;
        if (VARATT_IS_EXTERNAL(v)) *external = true;
        at = end_of_part(v, c, at);
    }
    return at;
}

// Marks a column as not NULL.
void set_present(HeapTupleHeader t, bool nulls, int column) {
    if (nulls) t->t_bits[column >> 3] |= static_cast<bits8>(1 << (column & 7));
}

// Fills the data area and the bitmap of NULLs.
void fill(HeapTupleHeader t, const RowImage &image, bool nulls) {
    char *data = reinterpret_cast<char *>(t) + t->t_hoff;
    memcpy(data, &image.fixed, sizeof(FixedPart));
    for (int c = 0; c < fixed_columns; c++) set_present(t, nulls, c);
    std::size_t at = sizeof(FixedPart);
    for (int c = 0; c < number_columns; c++) {
        if (image.numbers[c] == null_of(c)) continue;
        set_present(t, nulls, fixed_columns + c);
        memcpy(data + at, &image.numbers[c], sizeof(int64));
        at += sizeof(int64);
    }
    for (int c = 0; c < body_columns; c++) {
        if (image.body[c] == nullptr) continue;
        set_present(t, nulls, first_body_column + c);
        at = write_part(image.body[c], c, data, at);
    }
}

// Reads the variable parts of a tuple from `p`, the end of its numbers.
void deform_body(HeapTupleHeader t, const char *p, RowImage *image) {
    bool nulls = (t->t_infomask & HEAP_HASNULL) != 0;
    for (int c = 0; c < body_columns; c++) {
        image->body[c] = nullptr;
        if (nulls && att_isnull(first_body_column + c, t->t_bits)) continue;
        // A zero byte is padding: headers of one byte are never zero.
        if (*p == 0 || (!VARATT_IS_1B(p)))
            p = reinterpret_cast<const char *>(align_up(reinterpret_cast<std::uintptr_t>(p), body_alignment(c)));
        image->body[c] = reinterpret_cast<const varlena *>(p);
        p += VARSIZE_ANY(p);
    }
}

// Reads the times and costs, and returns their end.
const char *deform_numbers(HeapTupleHeader t, int64 *numbers) {
    bool nulls = (t->t_infomask & HEAP_HASNULL) != 0;
    const char *p = reinterpret_cast<const char *>(t) + t->t_hoff + sizeof(FixedPart);
    for (int c = 0; c < number_columns; c++) {
        numbers[c] = null_of(c);
        if (nulls && att_isnull(fixed_columns + c, t->t_bits)) continue;
        memcpy(&numbers[c], p, sizeof(int64));
        p += sizeof(int64);
    }
    return p;
}

uint64 read_type_hash(const varlena *type) {
    if (type == nullptr) return no_type;
    if (VARATT_IS_EXTERNAL(type) || VARATT_IS_COMPRESSED(type)) return long_type;
    return hash_of_type({VARDATA_ANY(type), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(type))});
}

// Reads the hashes of a tuple's group key and type. Group keys are never toasted (sql/02_tables.sql).
void read_hashes(HeapTupleHeader t, TaskRow *row) {
    row->group = row->type_hash = 0;
    auto is_null = [t](int column) {
        return (t->t_infomask & HEAP_HASNULL) != 0 && att_isnull(first_body_column + column, t->t_bits);
    };
    if (is_null(group_key) && is_null(type)) return;
    RowImage image;
    deform_row(t, &image);
    row->group = hash_of_group(reinterpret_cast<const text *>(image.body[group_key]));
    row->type_hash = read_type_hash(image.body[type]);
}

void take_costs(const Costs &costs, int64 *numbers) {
    numbers[cpu_us] = costs.known ? Max(costs.cpu_us, int64{1}) : null_of(cpu_us);
    numbers[wal_bytes] = costs.wal_bytes;
    numbers[blocks_hit] = costs.blocks_hit;
    numbers[blocks_read] = costs.blocks_read;
    numbers[blocks_dirtied] = costs.blocks_dirtied;
    numbers[temp_bytes] = costs.temp_bytes;
    numbers[row_count] = Max(costs.rows, null_of(row_count));
}

// Copies the changeable columns of a row into an image.
void take_changes(const TaskRow &row, RowImage *image) {
    FixedPart &f = image->fixed;
    f.queue_id = row.queue_id;
    f.status = static_cast<int16>(row.status);
    f.flags = row.flags;
    f.attempt = row.attempt;
    f.uncounted = row.uncounted;
    f.retries = row.retries;
    f.crashes = row.crashes;
    f.priority = row.priority;
    f.pid = row.pid;
    f.origin_queue_id = row.origin_queue_id;
    f.epoch = row.epoch;
    f.receipt = row.receipt;
    image->numbers[delayed_at] = row.delayed_at;
    image->numbers[dies_at] = row.dies_at;
    image->numbers[started_at] = row.started_at;
    image->numbers[finished_at] = row.finished_at;
    image->numbers[lease_until] = row.lease_until;
    if (row.status != Status::Retained && row.last == nullptr) return;
    const LastAttempt last = row.status == Status::Retained ? LastAttempt{} : *row.last;
    take_costs(last.costs, image->numbers);
    image->body[result] = reinterpret_cast<const varlena *>(last.result);
}

}  // namespace

uint64 hash_of_group(const text *key) {
    if (key == nullptr) return 0;
    uint64 h = hash_bytes_extended(reinterpret_cast<const unsigned char *>(VARDATA_ANY(key)),
                                   static_cast<int>(VARSIZE_ANY_EXHDR(key)), 0);
    return h != 0 ? h : 1;
}

HeapTuple form_row(const RowImage &image) {
    bool nulls = false, variable = false, external = false;
    std::size_t data = measure(image, &nulls, &variable, &external);
    std::size_t hoff = header_size(nulls);
    auto *tuple = static_cast<HeapTuple>(palloc(HEAPTUPLESIZE + hoff + data));
    auto *t = reinterpret_cast<HeapTupleHeader>(reinterpret_cast<char *>(tuple) + HEAPTUPLESIZE);
    memset(static_cast<void *>(t), 0, hoff);
    tuple->t_len = static_cast<uint32>(hoff + data);
    tuple->t_tableOid = InvalidOid;
    tuple->t_data = t;
    ItemPointerSetInvalid(&tuple->t_self);
    ItemPointerSetInvalid(&t->t_ctid);
    HeapTupleHeaderSetNatts(t, row_columns);
    t->t_hoff = static_cast<uint8>(hoff);
    t->t_infomask = static_cast<uint16>((nulls ? HEAP_HASNULL : 0) | (variable ? HEAP_HASVARWIDTH : 0) |
                                        (external ? HEAP_HASEXTERNAL : 0));
    fill(t, image, nulls);
    return tuple;
}

void deform_row(HeapTupleHeader tuple, RowImage *image) {
    if (HeapTupleHeaderGetNatts(tuple) != row_columns)
        ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
                errmsg("a task's row has %d columns instead of %d", HeapTupleHeaderGetNatts(tuple), row_columns));
    image->fixed = *fixed_part(tuple);
    deform_body(tuple, deform_numbers(tuple, image->numbers), image);
}

void read_row(HeapTuple tuple, int slot, const ItemPointerData &root, TaskRow *row) {
    const FixedPart &f = *fixed_part(tuple->t_data);
    int64 numbers[number_columns];
    deform_numbers(tuple->t_data, numbers);
    row->ref = TaskRef{f.id, ItemPointerGetBlockNumberNoCheck(&root), ItemPointerGetOffsetNumberNoCheck(&root),
                       static_cast<uint8>(slot)};
    row->tid = tuple->t_self;
    row->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
    row->queue_id = f.queue_id;
    row->role_id = f.role_id;
    row->status = static_cast<Status>(f.status);
    row->flags = f.flags;
    row->attempt = f.attempt;
    row->uncounted = f.uncounted;
    row->retries = f.retries;
    row->crashes = f.crashes;
    row->priority = f.priority;
    row->pid = f.pid;
    row->origin_queue_id = f.origin_queue_id;
    row->epoch = f.epoch;
    row->receipt = f.receipt;
    row->created_at = f.created_at;
    row->run_limit = f.run_limit;
    read_hashes(tuple->t_data, row);
    row->delayed_at = numbers[delayed_at];
    row->dies_at = numbers[dies_at];
    row->started_at = numbers[started_at];
    row->finished_at = numbers[finished_at];
    row->lease_until = numbers[lease_until];
    row->last = nullptr;
    row->type = nullptr;
    row->group_key = nullptr;
    row->command = nullptr;
    row->payload = row->headers = nullptr;
    row->dedup_key = row->batch_key = nullptr;
    row->depends_on = nullptr;
}

char *read_type(HeapTuple tuple) {
    RowImage image;
    deform_row(tuple->t_data, &image);
    const varlena *v = image.body[type];
    if (v == nullptr) return nullptr;
    pg::ToastSnapshot snapshot(VARATT_IS_EXTERNAL(v));
    return text_to_cstring(reinterpret_cast<const text *>(v));
}

void read_body(HeapTuple tuple, TaskRow *row) {
    RowImage image;
    deform_row(tuple->t_data, &image);
    pg::ToastSnapshot snapshot(true);
    auto text_of = [](const varlena *v) {
        return v == nullptr ? nullptr : text_to_cstring(reinterpret_cast<const text *>(v));
    };
    row->type = text_of(image.body[type]);
    row->command = text_of(image.body[command]);
    auto json_of = [](const varlena *v) {
        return v == nullptr ? nullptr : reinterpret_cast<Jsonb *>(PG_DETOAST_DATUM_COPY(PointerGetDatum(v)));
    };
    row->group_key = text_of(image.body[group_key]);
    row->payload = json_of(image.body[payload]);
    row->headers = json_of(image.body[headers]);
    auto copy_of = [](const varlena *v) { return v == nullptr ? nullptr : PG_DETOAST_DATUM_COPY(PointerGetDatum(v)); };
    row->dedup_key = reinterpret_cast<text *>(copy_of(image.body[dedup_key]));
    row->batch_key = reinterpret_cast<text *>(copy_of(image.body[batch_key]));
    row->depends_on = reinterpret_cast<ArrayType *>(copy_of(image.body[depends_on]));
}

HeapTuple next_version(HeapTuple old, const TaskRow &row, const char *worker_name, const BodyChange *change) {
    RowImage image;
    deform_row(old->t_data, &image);
    take_changes(row, &image);
    varlena *name = nullptr;
    if (worker_name != nullptr) {
        name = *worker_name == '\0' ? nullptr : reinterpret_cast<varlena *>(cstring_to_text(worker_name));
        image.body[worker] = name;
    }
    if (change != nullptr) {
        if (change->set_payload) image.body[payload] = reinterpret_cast<const varlena *>(change->payload);
        if (change->set_headers) image.body[headers] = reinterpret_cast<const varlena *>(change->headers);
        if (change->set_type) image.body[type] = reinterpret_cast<const varlena *>(change->type);
        if (change->set_command) image.body[command] = reinterpret_cast<const varlena *>(change->command);
        if (change->set_group_key) image.body[group_key] = reinterpret_cast<const varlena *>(change->group_key);
    }
    HeapTuple tuple = form_row(image);
    if (name != nullptr) pfree(name);
    return tuple;
}

}  // namespace pgqueue::store
