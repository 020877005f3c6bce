// Rotates, condemns and truncates segments. docs/internals/storage.md explains why truncation loses nothing.
#include "pg/guards.hpp"
#include "store/cleaning/steps.hpp"
#include "store/pages.hpp"
#include "store/relations.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {
namespace {

// Returns a slot of the generation that can take rows; -1: none.
int free_slot(const Ring &ring, bool old_generation) {
    for (int s = first_slot(old_generation); s < end_slot(old_generation); s++) {
        const RingRow &row = ring.slots[s];
        if (row.current || row.condemned || row.filled != 0 || !try_lock(segment_oid(s), AccessShareLock)) continue;
        Relation rel = table_open(segment_oid(s), NoLock);
        bool empty = RelationGetNumberOfBlocks(rel) == 0;
        table_close(rel, NoLock);
        if (empty) return s;
    }
    return -1;
}

// Reports every row of the locked segment as removed, and counts them. Returns false if one of them is not garbage.
bool remove_all(Pass *pass, int slot, int64 *removed) {
    Relation rel = open_rows(slot, NoLock);
    if (rel == nullptr) return false;
    BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
    BlockNumber end = RelationGetNumberOfBlocks(rel);
    bool garbage = true;
    for (BlockNumber block = 0; block < end && garbage; block++) {
        CHECK_FOR_INTERRUPTS();
        PageRows page;
        read_page(rel, slot, block, SnapshotSelf, strategy, &page);
        for (int i = 0; i < page.count && garbage; i++) {
            TaskRow row;
            uint32 length;
            page_row(page, i, &row, &length);
            garbage = fate_of(*pass, row) == Fate::Drop;
            if (garbage && pass->sink->removed != nullptr) pass->sink->removed(pass->sink->arg, row);
            (*removed)++;
        }
        release_page(&page);
    }
    FreeAccessStrategy(strategy);
    table_close(rel, NoLock);
    return garbage;
}

// Locks a relation and its toast table as TRUNCATE needs it, without waiting.
bool try_lock_for_truncate(Oid oid) {
    if (!try_lock(oid, AccessExclusiveLock)) return false;
    Relation rel = table_open(oid, NoLock);
    Oid toast = rel->rd_rel->reltoastrelid;
    table_close(rel, NoLock);
    return !OidIsValid(toast) || try_lock(toast, AccessExclusiveLock);
}

// Truncates the files of a segment.
void truncate_files(int slot) {
    Relation rows = table_open(segment_oid(slot), NoLock);
    Relation outcomes = table_open(outcome_oid(slot), NoLock);
    PushActiveSnapshot(GetTransactionSnapshot());
    pg::truncate_relations(list_make2(rows, outcomes),
                           list_make2_oid(RelationGetRelid(rows), RelationGetRelid(outcomes)));
    PopActiveSnapshot();
    table_close(outcomes, NoLock);
    table_close(rows, NoLock);
}

// Returns whether all remaining snapshots see the segment as condemned.
bool known_to_all(int slot, const RingRow &row, TransactionId *horizon) {
    Relation rel = table_open(segment_oid(slot), NoLock);
    *horizon = GetOldestNonRemovableTransactionId(rel);
    table_close(rel, NoLock);
    return TransactionIdPrecedes(row.xmin, *horizon);
}

// Why a truncation did not happen.
struct Hold {
    bool held;
    TransactionId xmin;
};

// Truncates a condemned segment in the open transaction.
bool try_truncate(int slot, Hold *hold) {
    RingRow row = read_ring().slots[slot];
    if (!row.condemned) return false;
    hold->held = true;
    if (!try_lock(segment_oid(slot), AccessShareLock) || !known_to_all(slot, row, &hold->xmin)) return false;
    hold->xmin = InvalidTransactionId;
    if (!try_lock_for_truncate(segment_oid(slot)) || !try_lock_for_truncate(outcome_oid(slot))) return false;
    row.condemned = false;
    row.filled = 0;
    if (!write_ring(slot, row)) return false;
    truncate_files(slot);
    hold->held = false;
    return true;
}

}  // namespace

bool rotate(Pass *pass, bool old_generation) {
    int next = -1;
    bool ok = step(pass, "rotating segments", [&] {
        Ring ring = read_ring();
        next = free_slot(ring, old_generation);
        if (next < 0) return false;
        int full = ring.current_of(old_generation);
        RingRow row = ring.slots[full];
        int32 generation = row.generation;
        row.current = false;
        row.filled = GetCurrentTimestamp();
        return write_ring(full, row) && write_ring(next, {generation + 1, true, false, 0, InvalidTransactionId});
    });
    if (ok && !old_generation && pass->sink->current != nullptr) pass->sink->current(pass->sink->arg, next);
    return ok;
}

bool condemn(Pass *pass, int slot) {
    int64 removed = 0;
    bool locked = true;
    bool ok = step(pass, "condemning a segment", [&] {
        RingRow row = read_ring().slots[slot];
        if (row.current || row.condemned) return false;
        // No transaction that has written to the segment is still open, and none can write to it before the mark is
        // visible.
        locked = try_lock(segment_oid(slot), ShareLock) && try_lock(outcome_oid(slot), ShareLock);
        row.condemned = true;
        if (row.filled == 0) row.filled = GetCurrentTimestamp();
        locked = locked && write_ring(slot, row);
        if (!locked || !remove_all(pass, slot, &removed)) return false;
        CacheInvalidateRelcacheByRelid(segment_oid(slot));
        CacheInvalidateRelcacheByRelid(outcome_oid(slot));
        return true;
    });
    if (ok) pass->report.removed += removed;
    if (!locked) pass->condemn_held = true;
    return ok;
}

bool truncate_condemned(Pass *pass, int slot) {
    Hold hold{};
    bool ok = step(pass, "truncating a segment", [&] { return try_truncate(slot, &hold); });
    if (ok) pass->report.truncated++;
    if (!ok && hold.held) {
        pass->truncate_held = true;
        pass->report.holder_xmin = hold.xmin;
    }
    return ok;
}

}  // namespace pgqueue::store
