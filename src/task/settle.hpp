// What follows when a task has ended, or waits: the scheduler's, in steps of a bounded size.
// docs/internals/workflows.md.
#pragma once
#include "store/dependencies.hpp"

namespace pgqueue::task {

// One task that is looked at. It begins with its id and zeros.
struct Settling {
    enum class Stage : uint8 {
        Look,        // waits, or has ended?
        Awaited,     // waits: what has become of those that it waits for -> Free
        Free,        // waits for nothing any more: it becomes ready -> Batch
        Dependents,  // has ended: those that wait for it -> Forget
        Forget,      // what it waited for itself -> Leave
        Leave,       // its batch -> Batch
        Batch,       // a batch is over: those that wait for it
        Done
    };
    int64 id;
    int64 after;         // what comes up to this id was seen in this stage
    int32 namespace_id;  // 0 not known
    Stage stage;
    bool all_are_seen;   // a walk over all tables has found it: the others come by themselves
    bool held;           // something of this stage was in somebody's hands
    bool rest;           // the stage begins anew after a while, when the caller has taken this mark off
    store::Batch batch;  // of stage Batch; the key is the caller's to keep after the transaction
};

// One step, in the caller's transaction; returns how many rows it has looked at, at most about store::some_rows.
int settle(Settling *s, TimestampTz now);

}  // namespace pgqueue::task
