// The relations of the segments as this process knows them. Names are resolved once, and again after an invalidation of
// one of them. A process also learns in this way that a segment is condemned: the collector sends the invalidation, and
// every process receives it with its next table lock.
#include "store/segments.hpp"

#include "pg/guards.hpp"
#include "store/relations.hpp"
#include "store/ring.hpp"

namespace pgqueue::store {
namespace {

struct Known {
    SegmentOids segments[segment_count];
    BlockNumber
        blocks[segment_count];  // the file has at least as many; it shrinks only by truncation, which invalidates
    bool condemned[segment_count];
    Oid ring, sequence;
    uint64 loaded;  // number of invalidations when it was loaded, 0 never
};

constinit Known known{};
constinit uint64 invalidations = 1;
constinit bool callbacks_registered = false;
constinit const pg::Atomic<int32> *shared_current = nullptr;
constinit IndexInfo *row_key_info = nullptr;
constinit IndexInfo *outcome_key_info = nullptr;

// Returns whether an invalidation of this relation concerns us.
bool is_ours(Oid oid) {
    if (oid == InvalidOid || oid == known.ring || oid == known.sequence) return true;
    for (const SegmentOids &s : known.segments)
        if (oid == s.heap || oid == s.outcome || oid == s.heap_key || oid == s.outcome_key) return true;
    return false;
}

// Called for each relation that changed anywhere in the database.
void relation_changed(Datum, Oid oid) {
    if (is_ours(oid)) invalidations++;
}

// Returns the oid of a numbered relation. Raises 42P01 if it does not exist.
Oid relation_named(Oid schema, const char *format, int number) {
    char name[NAMEDATALEN];
    snprintf(name, sizeof(name), format, number);
    Oid oid = get_relname_relid(name, schema);
    if (!OidIsValid(oid))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation pgqueue_internal.%s does not exist", name),
                errhint("Drop extension pgqueue and create it again."));
    return oid;
}

// Resolves all names, and reads which segments are condemned.
void load() {
    Oid schema = get_namespace_oid("pgqueue_internal", true);
    if (!OidIsValid(schema))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("extension pgqueue is not installed in this database"),
                errhint("Use CREATE EXTENSION pgqueue."));
    known.ring = relation_named(schema, "ring", 0);
    known.sequence = relation_named(schema, "task_id", 0);
    for (int s = 0; s < segment_count; s++) {
        known.segments[s] = {relation_named(schema, "segment_%d", s), relation_named(schema, "segment_%d_pkey", s),
                             relation_named(schema, "outcome_%d", s), relation_named(schema, "outcome_%d_pkey", s)};
        known.blocks[s] = 0;
    }
    Ring ring = read_ring(known.ring);
    for (int s = 0; s < segment_count; s++) known.condemned[s] = ring.slots[s].condemned;
}

// Returns whether nothing has changed since the names were resolved.
bool is_fresh() { return known.loaded == invalidations; }

// Resolves the names again after a change.
void refresh() {
    if (is_fresh()) return;
    if (!callbacks_registered) {
        CacheRegisterRelcacheCallback(relation_changed, static_cast<Datum>(0));
        callbacks_registered = true;
    }
    for (int tries = 0; !is_fresh(); tries++) {
        if (tries > 100)
            ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
                    errmsg("could not read a consistent state of the segments of pgqueue"));
        uint64 start = invalidations;
        load();
        known.loaded = start;
    }
}

// Opens a relation of a segment. Checks again if invalidations came with the lock.
Relation open_of(int slot, Oid SegmentOids::*which, LOCKMODE mode) {
    for (;;) {
        refresh();
        if (known.condemned[slot]) return nullptr;
        Relation rel = table_open(known.segments[slot].*which, mode);
        if (is_fresh()) return rel;
        table_close(rel, mode);
    }
}

// Returns an IndexInfo that lives as long as the process. The keys of all segments are alike, and btree reads nothing
// else in it.
IndexInfo *lasting_info(IndexInfo **kept, Relation key) {
    if (*kept == nullptr) {
        pg::MemoryScope scope(TopMemoryContext);
        *kept = BuildIndexInfo(key);
    }
    return *kept;
}

}  // namespace

void set_current_segment_source(const pg::Atomic<int32> *source) { shared_current = source; }

const SegmentOids &segment(int slot) {
    refresh();
    return known.segments[slot];
}

Oid segment_oid(int slot) { return segment(slot).heap; }
Oid outcome_oid(int slot) { return segment(slot).outcome; }

Oid ring_oid() {
    refresh();
    return known.ring;
}

Oid sequence_oid() {
    refresh();
    return known.sequence;
}

Relation open_rows(int slot, LOCKMODE mode) { return open_of(slot, &SegmentOids::heap, mode); }
Relation open_outcomes(int slot, LOCKMODE mode) { return open_of(slot, &SegmentOids::outcome, mode); }

bool has_block(Relation rel, int slot, BlockNumber block) {
    if (block < known.blocks[slot]) return true;
    known.blocks[slot] = RelationGetNumberOfBlocks(rel);
    return block < known.blocks[slot];
}

int ring_current() { return read_ring().current_of(false); }

bool is_readable() {
    Oid schema = get_namespace_oid("pgqueue_internal", false);
    for (const char *name : {"namespace", "queue", "namespace_grant", "handler", "role", "ring"})
        if (!ConditionalLockRelationOid(get_relname_relid(name, schema), AccessShareLock)) return false;
    for (int slot = 0; slot < segment_count; slot++)
        if (!ConditionalLockRelationOid(segment_oid(slot), AccessShareLock)) return false;
    return true;
}

int current_slot() {
    if (shared_current != nullptr) {
        int slot = shared_current->load();
        if (slot >= 0 && slot < ring_segments) return slot;
    }
    return ring_current();
}

int64 relation_blocks(Relation rel) {
    int64 blocks = RelationGetNumberOfBlocks(rel);
    if (OidIsValid(rel->rd_rel->reltoastrelid)) {
        Relation toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
        blocks += RelationGetNumberOfBlocks(toast);
        table_close(toast, AccessShareLock);
    }
    return blocks;
}

int64 segment_bytes(int slot) {
    int64 blocks = 0;
    for (Oid oid : {segment_oid(slot), outcome_oid(slot)}) {
        Relation rel = table_open(oid, AccessShareLock);
        blocks += relation_blocks(rel);
        table_close(rel, AccessShareLock);
    }
    return blocks * BLCKSZ;
}

void add_row_entry(Relation key, Relation heap, int64 id, ItemPointer tid, bool unchanged) {
    Datum value = Int64GetDatum(id);
    bool null = false;
    index_insert(key, &value, &null, tid, heap, UNIQUE_CHECK_YES, unchanged, lasting_info(&row_key_info, key));
}

void add_outcome_entry(Relation key, Relation heap, int64 id, int32 attempt, ItemPointer tid) {
    Datum values[] = {Int64GetDatum(id), Int32GetDatum(attempt)};
    bool nulls[] = {false, false};
    index_insert(key, values, nulls, tid, heap, UNIQUE_CHECK_YES, false, lasting_info(&outcome_key_info, key));
}

}  // namespace pgqueue::store
