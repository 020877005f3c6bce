// Changes and deletes rows.
#include "store/rows_write.hpp"

#include "pg/guards.hpp"
#include "store/find.hpp"
#include "store/relations.hpp"
#include "store/rows.hpp"

namespace pgqueue::store {
namespace {

// Raises 40001: the row has changed in spite of its lock.
[[noreturn]] void raise_changed(const TaskRow &row) {
    ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
            errmsg("task " INT64_FORMAT " was changed by another transaction", row.ref.id));
}

// Returns whether this transaction holds the version's row lock.
bool locked_by_us(HeapTupleHeader t) {
    return (t->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) == 0 && HEAP_XMAX_IS_LOCKED_ONLY(t->t_infomask) &&
           TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(t));
}

// Returns whether the page has room for another version of the row.
bool has_room(const Found &found) {
    return PageGetHeapFreeSpace(BufferGetPage(found.buffer)) >= MAXALIGN(found.tuple.t_len) + 2 * MAXIMUM_ALIGNOF;
}

// Pins the version of `row`. If its page has no room for another version, prunes dead versions, so that the update
// stays HOT. That moves tuples within the page, so the version is searched again. No other process can prune while we
// hold the pin.
bool pin_for_update(Relation rel, const TaskRow &row, Found *found) {
    if (!find_version(rel, row, found)) return false;
    if (has_room(*found)) return true;
    heap_page_prune_opt(rel, found->buffer);
    ReleaseBuffer(found->buffer);
    return find_version(rel, row, found);
}

// Writes the next version over the found one. Returns false if another transaction was faster.
bool replace_version(const Found &found, TaskRow *row, const char *worker, const BodyChange *change, bool wait) {
    HeapTuple version = next_version(const_cast<HeapTuple>(&found.tuple), *row, worker, change);
    TM_FailureData failure;
    bool needs_entry = false;
    ItemPointerData tid = row->tid;
    // If we hold the lock, the server has no other transaction to wait for.
    bool may_wait = wait || locked_by_us(found.tuple.t_data);
    TM_Result r =
        pg::update_tuple(found.rel, &tid, version, GetCurrentCommandId(true), may_wait, &failure, &needs_entry);
    if (r == TM_Ok) {
        row->tid = version->t_self;
        row->xmin = GetCurrentTransactionId();
        if (needs_entry) {
            Relation key = index_open(segment(found.slot).heap_key, RowExclusiveLock);
            add_row_entry(key, found.rel, row->ref.id, &version->t_self, true);
            index_close(key, NoLock);
            row->ref.block = ItemPointerGetBlockNumber(&version->t_self);
            row->ref.offset = ItemPointerGetOffsetNumber(&version->t_self);
        }
    }
    heap_freetuple(version);
    return r == TM_Ok;
}

// Finds the version of `row` in its open segment and writes the next one.
bool write_version(TaskRow *row, const char *worker, const BodyChange *change, bool wait) {
    Relation rel = open_rows(row->ref.segment, RowExclusiveLock);
    if (rel == nullptr) return false;
    Found found;
    bool ok = pin_for_update(rel, *row, &found);
    if (ok) {
        settle_command(found.tuple.t_data);
        ok = replace_version(found, row, worker, change, wait);
        ReleaseBuffer(found.buffer);
    }
    table_close(rel, NoLock);
    return ok;
}

}  // namespace

bool update(TaskRow *row, const char *worker, Wait wait) {
    bool ok = write_version(row, worker, nullptr, wait == Wait::Block);
    if (!ok && wait == Wait::Block) raise_changed(*row);
    return ok;
}

void update_body(TaskRow *row, const BodyChange &change) {
    if (!write_version(row, nullptr, &change, true)) raise_changed(*row);
}

TM_Result delete_version(const Found &found, bool wait) {
    TM_FailureData failure;
    ItemPointerData tid = found.tuple.t_self;
    settle_command(found.tuple.t_data);
    pg::ToastSnapshot snapshot(HeapTupleHasExternal(&found.tuple));
    return heap_delete(found.rel, &tid, GetCurrentCommandId(true), InvalidSnapshot,
                       wait || locked_by_us(found.tuple.t_data), &failure, false);
}

void remove(TaskRow *row) {
    Relation rel = open_rows(row->ref.segment, RowExclusiveLock);
    Found found;
    if (rel == nullptr || !find_version(rel, *row, &found)) raise_changed(*row);
    if (delete_version(found, true) != TM_Ok) raise_changed(*row);
    let_go(&found, NoLock);
}

}  // namespace pgqueue::store
