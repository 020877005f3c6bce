// The rules of dependencies and batches: follows up on tasks that have ended or that wait for others. The scheduler
// does this in steps of a bounded size. See docs/internals/workflows.md.
#pragma once
#include "store/dependencies.hpp"

namespace pgqueue::task {

// A task that is being settled. It begins with its id, its namespace and zeros.
struct Settling {
    enum class Stage : uint8 {
        Look,        // does it wait for others, or has it ended?
        Awaited,     // waits: take the ends of tasks that it waits for -> Free
        Free,        // if it waits for nothing any more, it becomes ready -> Batch
        Dependents,  // has ended: settle its dependents -> Forget
        Forget,      // remove what it waited for itself -> Leave
        Leave,       // leave its batch -> Batch
        Batch,       // if the batch has ended, settle the tasks that wait for it
        Done
    };
    int64 id;
    int64 after;         // ids up to this one are done in this stage
    int32 namespace_id;  // of the task; 0 not known, only in stage Look
    Stage stage;
    bool lost_hint;      // it may have lost its hint: a waiting task that waits for nothing is hinted again
    bool all_are_seen;   // found by a walk over all tables, which finds the others too
    bool held;           // another transaction holds a row of this stage
    bool rest;           // the stage begins anew after a while, when the caller has cleared this
    store::Batch batch;  // of stage Batch; the caller keeps the key beyond the transaction
};

// What was done about tasks: how many of them, how many rows were read, the microseconds in stage Look, and whether
// another stage followed for any of them.
struct Settled {
    int jobs, rows;
    int64 looked;
    bool went_on;
};
// Continues the tasks in order, in the caller's transaction, until about `most` rows are read. Each makes progress by
// some stages, or by about store::some_rows rows of a stage.
Settled settle(std::span<Settling *const> jobs, int most, TimestampTz now);

}  // namespace pgqueue::task
