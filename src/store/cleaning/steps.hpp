// The steps of a housekeeping pass. Each step runs in a transaction. Inside store/ only. The states of a segment are in
// docs/internals/storage.md.
#pragma once
#include "store/cleaning/pass.hpp"
#include "store/ring.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {

// The arguments of clean(), and the report that it returns.
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
    bool waited_long;     // the segment at hand has been full for a while
    const char *failure;  // of the step that ended the pass, nullptr none; no further step runs
    bool yields = false;  // to another collector; otherwise waits for the end of the other's step
};

// Runs a step in a transaction, as the only collector of this database. fn returns whether to commit. Returns whether
// the step was committed. A failure ends the pass. Meeting a lock is no failure: the step is left for a later pass, and
// `skipped` is set.
using StepCall = bool (*)(void *);
bool run_step(Pass *pass, const char *what, StepCall fn, void *arg);
template <typename F>
bool step(Pass *pass, const char *what, F &&fn) {
    return run_step(
        pass, what, [](void *f) { return (*static_cast<std::remove_reference_t<F> *>(f))(); }, &fn);
}

// Takes a lock until the end of the transaction, if that needs no waiting. Returns whether it did.
bool try_lock(Oid oid, LOCKMODE mode);

// Decides about a row at the time of the pass.
inline Fate fate_of(const Pass &pass, const TaskRow &row) {
    return fate_of(pass.lookup(pass.lookup_arg, row.queue_id), row, pass.at);
}

// References to rows with the same fate, at most most_refs of them.
constexpr int64 most_refs = 1000000;
struct RefList {
    TaskRef *refs;
    int64 count, room;
};

// The contents of a segment.
struct Census {
    bool done;
    int64 keep_bytes;        // of rows to keep
    int64 keep_count, gone;  // gone: garbage and dead versions
    int64 pages;             // of rows
    int64 total_bytes;       // with outcomes and toast
    RefList keep, archive, drop;
    // Whether rows to keep take less than a quarter of the room for rows.
    bool mostly_garbage() const;
};

// Counts a segment. The lists are allocated in the current memory context. `done` is false if a lock was met.
Census take_census(Pass *pass, int slot);

// Remove or archive the rows of a list in transactions of bounded size. Rows that another transaction holds or has
// changed are left for a later pass.
void drop_rows(Pass *pass, const RefList &list);
void archive_rows(Pass *pass, int slot, const RefList &list);
// Moves rows to the old generation. Returns how many are still in the segment.
int64 move_rows(Pass *pass, int slot, const RefList &list);

// condemn() marks a segment condemned if all its rows are garbage. truncate_condemned() truncates a condemned segment
// if no snapshot can see its rows. Both return whether they did so.
bool condemn(Pass *pass, int slot);
bool truncate_condemned(Pass *pass, int slot);
// Makes the next free segment of a generation the current one. Returns false if there is none, or if a lock was met.
bool rotate(Pass *pass, bool old_generation);

}  // namespace pgqueue::store
