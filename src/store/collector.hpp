// The parts of a housekeeping pass. Each step runs in a transaction of its own. Inside store/ only;
// docs/internals/storage.md has the states.
#pragma once
#include "store/ring.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {

// What clean() was called with, and what it reports.
struct Pass {
    int64 segment_limit;
    TimestampTz at;
    QueueEndLookup lookup;
    void *lookup_arg;
    const CleanSink *sink;
    CleanReport report;
    MemoryContext keep;  // lives as long as the pass
    bool condemn_held, truncate_held;
    bool skipped;         // the last step met a lock
    bool waited_long;     // the segment at hand is full for a while
    const char *failure;  // of the step that ended the pass, nullptr none: no further step runs
    bool yields = false;  // to another collector; else it waits for the end of the other's step
};

// Runs a step in a transaction, alone among collectors of this database; fn returns whether to commit. True:
// committed. A failure ends the pass; a lock that somebody has is none: the step is left for a later pass, `skipped`.
using StepCall = bool (*)(void *);
bool run_step(Pass *pass, const char *what, StepCall fn, void *arg);
template <typename F>
bool step(Pass *pass, const char *what, F &&fn) {
    return run_step(
        pass, what, [](void *f) { return (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}

// Takes a lock until the end of the transaction if that needs no waiting.
bool try_lock(Oid oid, LOCKMODE mode);

// What is to happen to a row.
enum class Fate { Keep, Archive, Drop };
Fate fate_of(const Pass &pass, const TaskRow &row);

// Places of rows with the same fate, at most most_refs of them.
constexpr int64 most_refs = 1000000;
struct RefList {
    TaskRef *refs;
    int64 count, room;
};

// What is in a segment.
struct Census {
    bool done;
    int64 keep_bytes;        // of rows to keep
    int64 keep_count, gone;  // gone: garbage and what is dead already
    int64 pages;             // of rows
    int64 total_bytes;       // with outcomes and toast
    RefList keep, archive, drop;
    // Share of the room for rows that is taken by rows to keep.
    bool mostly_garbage() const;
};

// Counts a segment; lists live in pass->keep's child, the current memory context.
Census take_census(Pass *pass, int slot);

// Each works through the list in transactions of bounded size; rows that others hold or have changed are left for a
// later pass.
void drop_rows(Pass *pass, const RefList &list);
void archive_rows(Pass *pass, int slot, const RefList &list);
// Moves rows to the old generation; returns how many are still in the segment.
int64 move_rows(Pass *pass, int slot, const RefList &list);

// Marks a segment condemned when it has nothing but garbage; truncates a condemned one when no snapshot can see its
// rows.
bool condemn(Pass *pass, int slot);
bool truncate_condemned(Pass *pass, int slot);
// Gives the next free segment of a generation the role of the current one.
bool rotate(Pass *pass, bool old_generation);

}  // namespace pgqueue::store
