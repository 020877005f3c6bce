// Records which task each in-server worker runs, in a small file that survives a crash. A task's start and its end
// write to a mapping of the file that all processes share, without fsync. After a crash, the entries that were not
// cleared are the tasks that were executing. Entry i belongs to worker slot i. At start the postmaster moves these
// entries to a list of suspects, and the schedulers clear that list. No function takes a lock.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::signal {

struct RunningTask {
    int64 id;  // 0 none; written last, cleared first
    Oid database;
    int32 attempt;
    int32 suspect;  // it ran as a suspect: after a crash it is charged, and its neighbours are not
    int32 unused;
};

// Maps the file and moves the entries of executing tasks to the list of suspects. Called in the postmaster when shared
// memory is created. Raises FATAL if the file cannot be created or mapped.
void open_running_file();
// Writes the entry of a worker slot, for the current database.
void mark_running(SlotNo worker, int64 id, int32 attempt, bool suspect);
// Clears the entry of a worker slot.
void clear_running(SlotNo worker);
// Copies the next task of a database that was executing when the server crashed. *at is the position of the iteration,
// and starts at 0. Returns false if there are no more.
bool next_executed(Oid database, int *at, RunningTask *task);
// Returns whether this attempt was executing when the server crashed.
bool was_executing(Oid database, int64 id, int32 attempt);
// Removes a task from the list of suspects: it has been charged, or need not be.
void forget_executed(Oid database, int64 id);

}  // namespace pgqueue::signal
