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
        Batch,       // a batch has ended: settle the tasks that wait for it
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

// Performs one step in the caller's transaction. Returns how many rows it has read, at most about store::some_rows.
int settle(Settling *s, TimestampTz now);

}  // namespace pgqueue::task
