// cancel_task of a task that runs in the server: the process of its worker is told, with the attempt that is meant and
// the reason that was given.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

struct Cancel {
    int64 id;
    int32 attempt;
    bool force;          // terminates the process
    const char *reason;  // nullptr none
};

// The reason cut to what a slot has room for, in the transaction's memory; nullptr for nullptr.
const char *kept_reason(const char *reason);
// Called at commit; neither raises nor waits for anybody but another one who cancels.
void cancel_worker(SlotNo worker, const Cancel &cancel);
// Cancels what runs of a queue. Called at commit, when the queue is dropped: a worker that has not begun by then sees
// that.
void cancel_running(SlotNo queue);
// The reason with which this attempt was cancelled, in the current memory context; nullptr none.
char *cancel_reason(const WorkerSlot &worker, int64 id, int32 attempt);

}  // namespace pgqueue::signal
