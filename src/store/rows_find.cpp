// Reads rows. Visibility is decided by SnapshotSelf, the newest committed or own version, under the buffer's lock: a
// HOT chain always has exactly one such version, and a SERIALIZABLE caller takes no predicate lock. A row that moves
// meanwhile is found by the second search of the keys.
#include "store/rows_find.hpp"

#include "pg/guards.hpp"
#include "store/find.hpp"
#include "store/relations.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {
ItemPointerData root_of(Buffer buffer, HeapTuple version) {
    if (!HeapTupleIsHeapOnly(version)) return version->t_self;
    OffsetNumber roots[MaxHeapTuplesPerPage];
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    heap_get_root_tuples(BufferGetPage(buffer), roots);
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    ItemPointerData root;
    ItemPointerSet(&root, ItemPointerGetBlockNumber(&version->t_self),
                   roots[ItemPointerGetOffsetNumber(&version->t_self) - 1]);
    return root;
}

namespace {

// Searches the primary key of an open segment.
bool find_by_key(Relation rel, int slot, int64 id, Found *found) {
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(id));
    SysScanDesc scan = systable_beginscan(rel, segment(slot).heap_key, true, SnapshotSelf, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    bool ok = HeapTupleIsValid(tuple);
    if (ok) {
        found->rel = rel;
        found->slot = slot;
        found->buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(&tuple->t_self));
        found->tuple = *tuple;
        found->root = root_of(found->buffer, tuple);
    }
    systable_endscan(scan);
    return ok;
}

// Searches the primary keys of all segments.
bool find_anywhere(int64 id, LOCKMODE mode, Found *found) {
    for (int look = 0; look < 2; look++)
        for (int slot = 0; slot < segment_count; slot++) {
            // A weak lock for the search: a session that searches for a missing row must not block the collector.
            Relation rel = open_rows(slot, AccessShareLock);
            if (rel == nullptr) continue;
            bool ok = find_by_key(rel, slot, id, found);
            if (ok && mode == AccessShareLock) return true;
            if (ok) ReleaseBuffer(found->buffer);
            table_close(rel, AccessShareLock);
            if (ok && (rel = open_rows(slot, mode)) != nullptr) {
                if (find_by_key(rel, slot, id, found)) return true;
                table_close(rel, mode);
            }
        }
    return false;
}

// Tries once. *again: the row was deleted meanwhile, and may have moved to another segment.
Locked lock_found(const TaskRef &ref, Wait wait, bool with_body, TaskRow *row, bool *again) {
    Found found;
    if (!locate(ref, RowExclusiveLock, &found)) return Locked::Gone;
    settle_command(found.tuple.t_data);
    TupleTableSlot *slot = table_slot_create(found.rel, nullptr);
    TM_FailureData failure;
    ItemPointerData tid = found.tuple.t_self;
    TM_Result r =
        table_tuple_lock(found.rel, &tid, SnapshotAny, slot, GetCurrentCommandId(true), LockTupleExclusive,
                         wait == Wait::Skip ? LockWaitSkip : LockWaitBlock,
                         TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS | TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
    Locked result = Locked::ByOther;
    if (r == TM_Ok) {
        bool copied;
        HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, &copied);
        ItemPointerData root = found.root;
        if (!ItemPointerEquals(&slot->tts_tid, &found.tuple.t_self))
            root = root_of(reinterpret_cast<BufferHeapTupleTableSlot *>(slot)->buffer, tuple);
        read_row(tuple, found.slot, root, row);
        if (with_body) read_body(tuple, row);
        result = Locked::Yes;
    } else if (r != TM_WouldBlock) {
        *again = true;
    }
    ExecDropSingleTupleTableSlot(slot);
    let_go(&found, NoLock);
    return result;
}

// Locks the newest version of the row, and follows it if it changes meanwhile.
Locked lock_row(const TaskRef &ref, Wait wait, bool with_body, TaskRow *row) {
    for (int tries = 0; tries < 100; tries++) {
        bool again = false;
        Locked result = lock_found(ref, wait, with_body, row, &again);
        if (!again) return result;
        CHECK_FOR_INTERRUPTS();
    }
    ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
            errmsg("could not find task " INT64_FORMAT ": it was moved repeatedly", ref.id));
}

}  // namespace

bool find_at(Relation rel, int slot, const ItemPointerData &root, Found *found) {
    BlockNumber block = ItemPointerGetBlockNumberNoCheck(&root);
    if (block == InvalidBlockNumber || !has_block(rel, slot, block)) return false;
    ItemPointerData tid = root;
    found->rel = rel;
    found->slot = slot;
    found->root = root;
    found->buffer = ReadBuffer(rel, block);
    LockBuffer(found->buffer, BUFFER_LOCK_SHARE);
    bool ok = heap_hot_search_buffer(&tid, rel, found->buffer, SnapshotSelf, &found->tuple, nullptr, true);
    LockBuffer(found->buffer, BUFFER_LOCK_UNLOCK);
    if (!ok) ReleaseBuffer(found->buffer);
    return ok;
}

bool find_version(Relation rel, const TaskRow &row, Found *found) {
    BlockNumber block = ItemPointerGetBlockNumberNoCheck(&row.tid);
    if (!has_block(rel, row.ref.segment, block)) return false;
    OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(&row.tid);
    found->rel = rel;
    found->slot = row.ref.segment;
    found->buffer = ReadBuffer(rel, block);
    LockBuffer(found->buffer, BUFFER_LOCK_SHARE);
    Page page = BufferGetPage(found->buffer);
    ItemId item = offset <= PageGetMaxOffsetNumber(page) ? PageGetItemId(page, offset) : nullptr;
    bool ok = item != nullptr && ItemIdIsNormal(item);
    if (ok) {
        found->tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
        found->tuple.t_len = ItemIdGetLength(item);
        found->tuple.t_tableOid = RelationGetRelid(rel);
        found->tuple.t_self = row.tid;
        ItemPointerSet(&found->root, row.ref.block, row.ref.offset);
        ok = fixed_part(found->tuple.t_data)->id == row.ref.id &&
             HeapTupleHeaderGetRawXmin(found->tuple.t_data) == row.xmin;
    }
    LockBuffer(found->buffer, BUFFER_LOCK_UNLOCK);
    if (!ok) ReleaseBuffer(found->buffer);
    return ok;
}

bool locate(const TaskRef &ref, LOCKMODE mode, Found *found) {
    if (ref.block != InvalidBlockNumber && ref.segment < segment_count) {
        Relation rel = open_rows(ref.segment, mode);
        if (rel != nullptr) {
            ItemPointerData root;
            ItemPointerSet(&root, ref.block, ref.offset);
            if (find_at(rel, ref.segment, root, found)) {
                if (fixed_part(found->tuple.t_data)->id == ref.id) return true;
                ReleaseBuffer(found->buffer);
            }
            table_close(rel, mode);
        }
    }
    return find_anywhere(ref.id, mode, found);
}

void let_go(Found *found, LOCKMODE unlock) {
    ReleaseBuffer(found->buffer);
    table_close(found->rel, unlock);
}

void settle_command(HeapTupleHeader version) {
    if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(version)) &&
        HeapTupleHeaderGetCmin(version) >= GetCurrentCommandId(false))
        CommandCounterIncrement();
}

namespace {

bool fetch_with(LOCKMODE mode, const TaskRef &ref, bool with_body, TaskRow *row) {
    Found found;
    if (!locate(ref, mode, &found)) return false;
    read_row(&found.tuple, found.slot, found.root, row);
    if (with_body) read_body(&found.tuple, row);
    let_go(&found, mode);
    return true;
}

}  // namespace

bool fetch(const TaskRef &ref, bool with_body, TaskRow *row) {
    return fetch_with(AccessShareLock, ref, with_body, row);
}

bool fetch_to_change(const TaskRef &ref, bool with_body, TaskRow *row) {
    return fetch_with(RowExclusiveLock, ref, with_body, row);
}

char *fetch_type(const TaskRef &ref) {
    Found found;
    if (!locate(ref, AccessShareLock, &found)) return nullptr;
    char *type = read_type(&found.tuple);
    let_go(&found, AccessShareLock);
    return type;
}

char *worker_name(const TaskRow &row) {
    Relation rel = open_rows(row.ref.segment, AccessShareLock);
    if (rel == nullptr) return nullptr;
    Found found;
    char *name = nullptr;
    if (find_version(rel, row, &found)) {
        RowImage image;
        deform_row(found.tuple.t_data, &image);
        if (image.body[worker] != nullptr) name = text_to_cstring(reinterpret_cast<const text *>(image.body[worker]));
        ReleaseBuffer(found.buffer);
    }
    table_close(rel, NoLock);
    return name;
}

bool find(int64 id, bool with_body, TaskRow *row) {
    return fetch(TaskRef{id, InvalidBlockNumber, InvalidOffsetNumber, 0}, with_body, row);
}

Locked lock(const TaskRef &ref, Wait wait, bool with_body, TaskRow *row) { return lock_row(ref, wait, with_body, row); }

Locked lock_by_id(int64 id, Wait wait, bool with_body, TaskRow *row) {
    return lock_row(TaskRef{id, InvalidBlockNumber, InvalidOffsetNumber, 0}, wait, with_body, row);
}

}  // namespace pgqueue::store
