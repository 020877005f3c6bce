// Reads waiting rows in the order of their ids, from one id on, across all segments.
#include "store/by_id.hpp"

#include "pg/guards.hpp"
#include "store/find.hpp"
#include "store/relations.hpp"
#include "store/rows.hpp"
#include "store/scan.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {
namespace {

// The rows of one segment, read by its primary key.
struct Part {
    Relation rel, key;
    SysScanDesc scan;
    HeapTuple next;  // nullptr: no more
};

void open_part(Part *part, int slot, Snapshot snapshot, int64 after) {
    *part = Part{};
    part->rel = open_rows(slot, AccessShareLock);
    if (part->rel == nullptr) return;
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
    part->key = index_open(segment(slot).heap_key, AccessShareLock);
    part->scan = systable_beginscan_ordered(part->rel, part->key, snapshot, 1, &key);
    part->next = systable_getnext_ordered(part->scan, ForwardScanDirection);
}

void close_part(Part *part) {
    if (part->rel == nullptr) return;
    systable_endscan_ordered(part->scan);
    index_close(part->key, AccessShareLock);
    table_close(part->rel, NoLock);
}

int64 id_of(const Part &part) { return fixed_part(part.next->t_data)->id; }

void hand_out(const Part &part, int slot, ScanCallback callback, void *arg) {
    TaskRow row;
    HeapTupleData tuple = *part.next;
    Buffer buffer = ReadBuffer(part.rel, ItemPointerGetBlockNumber(&tuple.t_self));
    read_row(&tuple, slot, root_of(buffer, &tuple), &row);
    ReleaseBuffer(buffer);
    (void)callback(arg, row);
}

}  // namespace

int64 scan_waiting(Snapshot snapshot, int64 after, int most, ScanCallback callback, void *arg) {
    Part parts[segment_count];
    for (int slot = 0; slot < segment_count; slot++) open_part(&parts[slot], slot, snapshot, after);
    int first = -1;
    for (; most > 0; most--) {
        first = -1;
        for (int slot = 0; slot < segment_count; slot++)
            if (parts[slot].next != nullptr && (first < 0 || id_of(parts[slot]) < id_of(parts[first]))) first = slot;
        if (first < 0) break;
        Part &part = parts[first];
        after = id_of(part);
        if (is_waiting(static_cast<Status>(fixed_part(part.next->t_data)->status)))
            hand_out(part, first, callback, arg);
        part.next = systable_getnext_ordered(part.scan, ForwardScanDirection);
    }
    for (Part &part : parts) close_part(&part);
    return first < 0 ? INT64_MAX : after;
}

}  // namespace pgqueue::store
