// Which task each in-server worker runs, in a small file that outlives a crash: one store at the start and one at the
// end of a task, through a mapping that every process inherits; no fsync. After a crash the entries that were not
// cleared are the tasks that were executing. Entry i belongs to the worker of slot i; the list of suspects is written
// by the postmaster at start and cleared by the schedulers.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

struct RunningTask {
    int64 id;  // 0 none; written last, cleared first
    Oid database;
    int32 attempt;
    int32 suspect;  // it ran as a suspect: when the server crashes, it and not its neighbours is charged
    int32 unused;
};

// In the postmaster, when shared memory is made: maps the file and moves what was executing into the list of suspects.
void open_running_file();
void mark_running(SlotNo worker, int64 id, int32 attempt, bool suspect);
void clear_running(SlotNo worker);
// The tasks of a database that were executing when the server crashed, one for each call with the same `at`, which
// begins at 0.
bool next_executed(Oid database, int *at, RunningTask *task);
// Was this attempt executing when the server crashed?
bool was_executing(Oid database, int64 id, int32 attempt);
// A suspect has been charged, or need not be.
void forget_executed(Oid database, int64 id);

}  // namespace pgqueue::signal
