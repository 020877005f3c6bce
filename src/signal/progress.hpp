// How far the running tasks say they are. Written by the worker that runs the task, read by whoever looks at the
// workers.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// The task that this process runs says that this part of it (0 to 1) is done; outside a worker's task nothing happens.
// note: nullptr none.
void tell_progress(double part, const char *note);
// Forgets what the last task of a worker said.
inline void clear_progress(WorkerSlot *worker) {
    if (worker->progress.load() != 0) worker->progress.store(0);
}

struct Progress {
    double part;
    char note[progress_note_bytes];  // empty: none
};
// What the worker's task has said; false: nothing.
bool read_progress(WorkerSlot *worker, Progress *progress);

}  // namespace pgqueue::signal
