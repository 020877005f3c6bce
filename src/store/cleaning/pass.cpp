// A housekeeping pass: decides which step is due for which segment.
#include "store/cleaning/steps.hpp"

#include "pg/clock.hpp"
#include "pg/guards.hpp"
#include "pg/limited.hpp"
#include "store/cleaning/pass.hpp"
#include "store/relations.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {
namespace {

constexpr int64 early_rotation_rows = 1000;  // garbage that is worth a rotation before the segment is full
constexpr int64 truncation_patience = 100 * 1000;
// A full segment that cannot be condemned for this long gives up its garbage row by row.
constexpr int64 condemning_patience = 5 * 60 * int64(USECS_PER_SEC);

// A long census is not repeated at once: counting may take a twentieth of the time.
constinit pg::Deadline next_census[segment_count] = {};
constexpr int64 long_census = 50000;

// Reads the ring. Slots that have rows but were never filled (after a restore) count as filled.
bool look_at_ring(Pass *pass, Ring *ring, int64 *bytes) {
    return step(pass, "reading the ring", [&] {
        *ring = read_ring();
        for (int s = 0; s < segment_count; s++) {
            bytes[s] = 0;
            RingRow &row = ring->slots[s];
            if (!try_lock(segment_oid(s), AccessShareLock) || !try_lock(outcome_oid(s), AccessShareLock)) {
                bytes[s] = -1;
                continue;
            }
            bytes[s] = segment_bytes(s);
            if (!row.current && !row.condemned && row.filled == 0) {
                Relation rel = table_open(segment_oid(s), NoLock);
                if (RelationGetNumberOfBlocks(rel) > 0) row.filled = 1;
                table_close(rel, NoLock);
            }
        }
        return true;
    });
}

// Returns whether the segment may be counted again.
bool census_is_due(int slot) { return pg::has_passed(next_census[slot]); }

// Counts a segment in a step.
Census count(Pass *pass, int slot) {
    Census census{};
    MemoryContext lists = CurrentMemoryContext;
    int64 start = pg::monotonic_now();
    step(pass, "counting a segment", [&] {
        pg::MemoryScope scope(lists);
        census = take_census(pass, slot);
        return true;
    });
    int64 took = pg::monotonic_now() - start;
    next_census[slot] = took > long_census ? pg::deadline_in(20 * took) : pg::Deadline{};
    return census;
}

// Returns whether copying the survivors of a full segment is worth the space.
bool worth_collecting(const Pass &pass, const Census &census) {
    return census.keep_count == 0 || census.mostly_garbage() ||
           (census.keep_count < early_rotation_rows &&
            census.total_bytes - census.pages * BLCKSZ > pass.segment_limit / 2);
}

// Collects a full segment if that pays off, or else removes the garbage row by row.
void work_filled(Pass *pass, int slot) {
    Census census = count(pass, slot);
    if (!census.done) return;
    archive_rows(pass, slot, census.archive);
    if (!worth_collecting(*pass, census)) {
        drop_rows(pass, census.drop);
        return;
    }
    if (move_rows(pass, slot, census.keep) == 0 && condemn(pass, slot)) return;
    // A transaction that holds a row, or has written to the segment, does not keep finished rows of others there.
    if (pass->waited_long) drop_rows(pass, census.drop);
}

// Rotates the current segment early if it is mostly garbage, or else removes the garbage row by row.
void work_current(Pass *pass, int slot) {
    Census census = count(pass, slot);
    if (!census.done) return;
    archive_rows(pass, slot, census.archive);
    if (census.gone >= early_rotation_rows && census.mostly_garbage() && rotate(pass, is_old(slot))) {
        next_census[slot] = {};
        return;
    }
    drop_rows(pass, census.drop);
}

// Runs the work of one segment in its own memory context.
void work_segment(Pass *pass, int slot, void (*work)(Pass *, int)) {
    if (!census_is_due(slot)) return;
    MemoryContext lists = AllocSetContextCreate(pass->keep, "pgqueue census", ALLOCSET_DEFAULT_SIZES);
    {
        pg::MemoryScope scope(lists);
        work(pass, slot);
    }
    MemoryContextDelete(lists);
}

// Tries to truncate all condemned segments. Returns whether one is left.
bool truncate_all(Pass *pass) {
    Ring ring;
    int64 bytes[segment_count];
    if (!look_at_ring(pass, &ring, bytes)) return false;
    bool left = false;
    pass->truncate_held = false;
    pass->report.holder_xmin = InvalidTransactionId;
    for (int s = 0; s < segment_count; s++)
        if (ring.slots[s].condemned && !truncate_condemned(pass, s)) left = true;
    return left;
}

// Tries a few times, because the last transactions of others usually end within moments. A session that reads again and
// again leaves short gaps.
void truncate_patiently(Pass *pass) {
    constexpr long for_snapshot_ms = 10, for_lock_ms = 2;
    const pg::Deadline end = pg::deadline_in(truncation_patience);
    while (truncate_all(pass) && !pg::has_passed(end)) {
        long pause = TransactionIdIsValid(pass->report.holder_xmin) ? for_snapshot_ms : for_lock_ms;
        (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause, PG_WAIT_EXTENSION);
        CHECK_FOR_INTERRUPTS();
    }
}

// Passes the current segment to the owner of shared memory. A process may have ended between a rotation and that call.
void tell_current(Pass *pass) {
    Ring ring;
    if (step(pass, "reading the ring",
             [&] {
                 ring = read_ring();
                 return true;
             }) &&
        pass->sink->current != nullptr)
        pass->sink->current(pass->sink->arg, ring.current_of(false));
}

// Works on all segments. Returns whether a full current segment found no free slot to rotate to.
bool work_all(Pass *pass) {
    Ring ring;
    int64 bytes[segment_count];
    bool stuck = false;
    if (!look_at_ring(pass, &ring, bytes)) return false;
    for (bool old_generation : {false, true}) {
        int slot = ring.current_of(old_generation);
        bool full = bytes[slot] > 0 && bytes[slot] >= pass->segment_limit;
        if (full && rotate(pass, old_generation)) continue;
        stuck = stuck || full;
        work_segment(pass, slot, work_current);
    }
    if (!look_at_ring(pass, &ring, bytes)) return false;
    for (int s = 0; s < segment_count; s++)
        if (!ring.slots[s].current && !ring.slots[s].condemned && ring.slots[s].filled != 0 && bytes[s] >= 0) {
            pass->waited_long = pass->at - ring.slots[s].filled > condemning_patience;
            work_segment(pass, s, work_filled);
        }
    truncate_patiently(pass);
    return stuck;
}

// Runs the steps of a pass in their order.
void run_pass(Pass *pass) {
    tell_current(pass);
    (void)truncate_all(pass);
    pass->report.stuck = work_all(pass);
}

struct StepFrame {
    StepCall fn;
    void *arg;
    bool yields;
};

// Allows one collector of a database at a time, for the length of the transaction.
bool lock_out_others(bool yields) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, ring_oid(), 0, 7);
    return LockAcquire(&tag, ExclusiveLock, false, yields) != LOCKACQUIRE_NOT_AVAIL;
}

// Runs a step inside its transaction. Returns whether to commit.
bool run_frame(void *p) {
    auto *frame = static_cast<StepFrame *>(p);
    return lock_out_others(frame->yields) && frame->fn(frame->arg);
}

}  // namespace

bool run_step(Pass *pass, const char *what, StepCall fn, void *arg) {
    if (pass->failure != nullptr) return false;
    MemoryContext before = CurrentMemoryContext;
    StepFrame frame{fn, arg, pass->yields};
    bool committed = false;
    pg::Outcome outcome = pg::run_limited_raw(run_frame, &frame, pass->keep, &committed);
    MemoryContextSwitchTo(before);
    pgstat_report_stat(false);  // once a second
    pass->skipped = pg::met_lock(outcome);
    pass->report.skipped = pass->report.skipped || pass->skipped;
    if (!outcome.ok && !pass->skipped) {
        pg::MemoryScope scope(pass->keep);
        pass->failure = psprintf("while %s: %s", what, outcome.error.message);
    }
    return committed;
}

namespace {

// Runs the steps of a pass and frees its memory.
CleanReport report_of(Pass *pass, void (*steps)(Pass *)) {
    MemoryContext caller = MemoryContextSwitchTo(pass->keep);
    steps(pass);
    pass->report.condemning_held = pass->condemn_held;
    pass->report.truncation_held = pass->truncate_held;
    MemoryContextSwitchTo(caller);
    if (pass->failure != nullptr) pass->report.failure = pstrdup(pass->failure);
    MemoryContextDelete(pass->keep);
    return pass->report;
}

}  // namespace

bool try_lock(Oid oid, LOCKMODE mode) { return ConditionalLockRelationOid(oid, mode); }

CleanReport clean(int64 segment_limit, TimestampTz at, QueueEndLookup lookup, void *lookup_arg, const CleanSink &sink) {
    MemoryContext keep = AllocSetContextCreate(TopMemoryContext, "pgqueue housekeeping", ALLOCSET_DEFAULT_SIZES);
    Pass pass{segment_limit, at, lookup, lookup_arg, &sink, {}, keep, false, false, false, false, nullptr};
    return report_of(&pass, run_pass);
}

CleanReport truncate() {
    CleanSink sink{};
    MemoryContext keep = AllocSetContextCreate(TopMemoryContext, "pgqueue housekeeping", ALLOCSET_DEFAULT_SIZES);
    Pass pass{0, 0, nullptr, nullptr, &sink, {}, keep, false, false, false, false, nullptr};
    pass.yields = true;
    return report_of(&pass, truncate_patiently);
}

}  // namespace pgqueue::store
