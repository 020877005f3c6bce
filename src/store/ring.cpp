#include "store/ring.hpp"

#include "pg/guards.hpp"
#include "store/relations.hpp"
#include "store/segments.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

// Attribute numbers of pgqueue_internal.ring.
enum RingColumn { r_slot = 1, r_generation, r_current, r_filled_at, r_condemned };

// Reads one row, and returns its slot.
int read_ring_row(HeapTuple tuple, TupleDesc desc, RingRow *row) {
    bool null;
    int slot = DatumGetInt16(heap_getattr(tuple, r_slot, desc, &null));
    if (slot < 0 || slot >= segment_count) return -1;
    row->generation = DatumGetInt32(heap_getattr(tuple, r_generation, desc, &null));
    row->current = DatumGetBool(heap_getattr(tuple, r_current, desc, &null));
    Datum filled = heap_getattr(tuple, r_filled_at, desc, &null);
    row->filled = null ? 0 : DatumGetTimestampTz(filled);
    row->condemned = DatumGetBool(heap_getattr(tuple, r_condemned, desc, &null));
    row->xmin = HeapTupleHeaderGetXmin(tuple->t_data);
    return slot;
}

// Reads all rows once. A concurrent update may show a row twice or not at all; then it returns false.
bool try_read_ring(Relation rel, Ring *ring) {
    int seen[segment_count] = {};
    SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, SnapshotSelf, 0, nullptr);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
        RingRow row;
        int slot = read_ring_row(tuple, RelationGetDescr(rel), &row);
        if (slot < 0) continue;
        ring->slots[slot] = row;
        seen[slot]++;
    }
    systable_endscan(scan);
    int current[2] = {};
    for (int s = 0; s < segment_count; s++) {
        if (seen[s] != 1) return false;
        if (ring->slots[s].current) current[is_old(s)]++;
    }
    return current[0] == 1 && current[1] == 1;
}

}  // namespace

int Ring::current_of(bool old_generation) const {
    for (int s = first_slot(old_generation); s < end_slot(old_generation); s++)
        if (slots[s].current) return s;
    return first_slot(old_generation);
}

Ring read_ring() { return read_ring(ring_oid()); }

Ring read_ring(Oid oid) {
    Ring ring;
    Relation rel = table_open(oid, AccessShareLock);
    for (int tries = 0; tries < 1000; tries++) {
        if (try_read_ring(rel, &ring)) {
            table_close(rel, AccessShareLock);
            return ring;
        }
        CHECK_FOR_INTERRUPTS();
    }
    ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
            errmsg("table pgqueue_internal.ring does not name one current segment of each kind"));
}

bool is_condemned_now(int slot) { return read_ring().slots[slot].condemned; }

bool write_ring(int slot, const RingRow &row) {
    static constinit Statement write{
        "UPDATE pgqueue_internal.ring SET generation = $2, current = $3, filled_at = $4, condemned = $5 "
        "WHERE slot OPERATOR(pg_catalog.=) (SELECT r.slot FROM pgqueue_internal.ring r "
        "WHERE r.slot OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE SKIP LOCKED)",
        5,
        {INT2OID, INT4OID, BOOLOID, TIMESTAMPTZOID, BOOLOID},
        nullptr};
    Datum values[] = {Int16GetDatum(static_cast<int16>(slot)), Int32GetDatum(row.generation), BoolGetDatum(row.current),
                      TimestampTzGetDatum(row.filled), BoolGetDatum(row.condemned)};
    const char nulls[] = {' ', ' ', ' ', row.filled == 0 ? 'n' : ' ', ' ', '\0'};
    pg::ActiveSnapshot snapshot;
    return run_as_self(&write, values, nulls, nullptr, nullptr) == 1;
}

}  // namespace pgqueue::store
