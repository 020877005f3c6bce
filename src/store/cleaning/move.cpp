// Moves rows that are still needed from a segment to the old generation.
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "store/cleaning/steps.hpp"
#include "store/find.hpp"
#include "store/outcomes.hpp"
#include "store/relations.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {
namespace {

constexpr int64 moves_per_transaction = 500;

struct Side {
    int slot;
    Relation rows, rows_key;
    OutcomePlace outcomes;
};

// Opens a segment's tables for writing, without waiting. Returns false if that is not possible now.
bool open_side(int slot, Side *side) {
    if (!try_lock(segment_oid(slot), RowExclusiveLock) || !try_lock(outcome_oid(slot), RowExclusiveLock)) return false;
    side->slot = slot;
    side->rows = open_rows(slot, NoLock);
    if (side->rows == nullptr) return false;
    side->outcomes.heap = table_open(outcome_oid(slot), NoLock);
    side->rows_key = index_open(segment(slot).heap_key, RowExclusiveLock);
    side->outcomes.key = index_open(segment(slot).outcome_key, RowExclusiveLock);
    return true;
}

// Closes the tables; the locks stay.
void close_side(const Side &side) {
    index_close(side.outcomes.key, NoLock);
    index_close(side.rows_key, NoLock);
    table_close(side.outcomes.heap, NoLock);
    table_close(side.rows, NoLock);
}

// Moves one row, if it is still to be kept and no other transaction holds it. A toasted payload is fetched and stored
// again, still compressed.
enum class Moved { Yes, NotThere, ByOther };
Moved move_row(Pass *pass, const Side &from, const Side &to, const TaskRef &ref) {
    ItemPointerData root;
    ItemPointerSet(&root, ref.block, ref.offset);
    Found found;
    if (!find_at(from.rows, from.slot, root, &found)) return Moved::NotThere;
    TaskRow row;
    read_row(&found.tuple, found.slot, found.root, &row);
    Moved result = Moved::NotThere;
    if (row.ref.id == ref.id && fate_of(*pass, row) == Fate::Keep) {
        pg::TempContext scratch;
        HeapTuple copy = heap_copytuple(&found.tuple);
        result = Moved::ByOther;
        if (pass->sink->moving != nullptr) pass->sink->moving(pass->sink->arg, row);
        if (delete_version(found, false) == TM_Ok) {
            PGQUEUE_TESTPOINT("housekeeper-taking");
            heap_insert(to.rows, copy, GetCurrentCommandId(true), 0, nullptr);
            add_row_entry(to.rows_key, to.rows, ref.id, &copy->t_self, false);
            move_outcomes(ref.id, from.outcomes, to.outcomes);
            TaskRef now_at{ref.id, ItemPointerGetBlockNumber(&copy->t_self), ItemPointerGetOffsetNumber(&copy->t_self),
                           static_cast<uint8>(to.slot)};
            if (pass->sink->moved != nullptr) pass->sink->moved(pass->sink->arg, row, now_at);
            result = Moved::Yes;
        }
    }
    ReleaseBuffer(found.buffer);
    return result;
}

struct MoveCount {
    int64 moved, held;
};

// Moves a part of the list in the open transaction.
bool move_part(Pass *pass, int slot, std::span<const TaskRef> refs, MoveCount *count) {
    Side from, to;
    int target = read_ring().current_of(true);
    if (target == slot || !open_side(slot, &from) || !open_side(target, &to)) return false;
    PushActiveSnapshot(GetTransactionSnapshot());
    for (const TaskRef &ref : refs) {
        CHECK_FOR_INTERRUPTS();
        Moved m = move_row(pass, from, to, ref);
        if (m == Moved::Yes) count->moved++;
        if (m == Moved::ByOther) count->held++;
    }
    PGQUEUE_TESTPOINT("housekeeper-moving");
    PopActiveSnapshot();
    close_side(to);
    close_side(from);
    return true;
}

// Moves some rows in a transaction. If one of them meets a lock, tries the halves, until `splits` are used up. Returns
// how many rows are left.
int64 move_some(Pass *pass, int slot, std::span<const TaskRef> refs, int *splits) {
    MoveCount count{};
    if (step(pass, "moving tasks to the old generation", [&] { return move_part(pass, slot, refs, &count); })) {
        pass->report.moved += count.moved;
        return count.held;
    }
    if (!pass->skipped || refs.size() == 1 || *splits == 0) return static_cast<int64>(refs.size());
    --*splits;
    std::size_t half = refs.size() / 2;
    int64 left = move_some(pass, slot, refs.first(half), splits);
    return left + move_some(pass, slot, refs.subspan(half), splits);
}

}  // namespace

int64 move_rows(Pass *pass, int slot, const RefList &list) {
    constexpr int most_splits = 64;
    int splits = most_splits;
    int64 left = list.count == most_refs ? 1 : 0;
    for (int64 at = 0; at < list.count; at += moves_per_transaction) {
        int64 size = Min(list.count - at, moves_per_transaction);
        left += move_some(pass, slot, {list.refs + at, static_cast<std::size_t>(size)}, &splits);
    }
    return left;
}

}  // namespace pgqueue::store
