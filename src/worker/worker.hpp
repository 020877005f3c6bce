// The state of a worker process. It belongs to a database and a role, and claims and runs tasks one after another.
#pragma once
#include "store/rows.hpp"
#include "task/statistics.hpp"
#include "worker/processes.hpp"

namespace pgqueue::worker::runner {

// The state of this worker.
struct Self {
    SlotNo slot;
    MemoryContext batch;  // reset for each batch of claimed tasks
    MemoryContext task;   // reset for each task
    char name[64];        // the worker's name in its tasks
    char role[NAMEDATALEN], database[NAMEDATALEN];
    double mean_run_us;  // moving average of run times
};
extern Self self;

// Returns the slot of this worker.
inline memory::WorkerSlot &my_slot() { return memory::map.shared->workers[self.slot]; }

// A claimed task, in the memory of its batch.
struct Claimed {
    int hold;
    int64 run_limit;         // microseconds, 0 none
    const char *ns, *queue;  // names
    store::TaskRow row;
    task::Start start;
};

}  // namespace pgqueue::worker::runner
