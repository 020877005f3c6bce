// Progress of running tasks. The worker that runs a task writes it. The view of workers reads it. No function takes a
// lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

// Records that this process has done `part` (0 to 1) of its running task, with an optional note (nullptr: none). The
// note is cut to progress_note_bytes - 1 bytes. Does nothing outside a worker's task.
void tell_progress(double part, const char *note);
// Clears the progress of a worker's last task.
inline void clear_progress(WorkerSlot *worker) {
    if (worker->progress.load() != 0) worker->progress.store(0);
}

struct Progress {
    double part;
    char note[progress_note_bytes];  // empty: none
};
// Reads the progress of the worker's task. Returns false if the task has reported none.
bool read_progress(WorkerSlot *worker, Progress *progress);

}  // namespace pgqueue::signal
