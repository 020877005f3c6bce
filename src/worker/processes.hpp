// The processes of pgqueue, and how they are started. README.md beside this file describes their states.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::worker {

using memory::SlotNo;

// Registers the launcher, the only static process. Called in _PG_init, if preloaded.
void register_launcher();

// What the process of a worker gets at its start, besides its slot.
struct WorkerStart {
    uint32 generation;  // of the slot
    bool can_login;     // its role
};

// Start a dynamic process, and return its handle. Return false if no process slot is free, and do not raise in that
// case.
bool start_scheduler(SlotNo db, BackgroundWorkerHandle **handle);
bool start_worker(SlotNo worker, uint32 generation, bool can_login, BackgroundWorkerHandle **handle);
bool start_housekeeper(SlotNo db, BackgroundWorkerHandle **handle);
bool start_notifier(SlotNo db, BackgroundWorkerHandle **handle);

// save_statistics.cpp: saves the statistics of the queues of a database that have changed since they were last saved.
// Tries again later what another transaction prevents. For the housekeeper.
void save_statistics(SlotNo db);

constexpr int64 turn_length = 100 * 1000;  // a role keeps its only worker this long while another role has none
// A role keeps an idle worker this long while another role has workers but wants more, so that its next task need not
// wait for a process.
constexpr int64 pause_between_tasks = int64(USECS_PER_SEC);
// A worker that was asked to leave gets this long before another one is asked, because its task may take hours.
constexpr int64 time_to_leave = int64(USECS_PER_SEC);

// Makes room for a worker of `for_role` (-1: a database without scheduler). Asks the longest idle worker of other roles
// to leave. busy_too: the role has no worker. Then any idle worker will do; if there is none, the role with most
// workers gives up one after its task. Does nothing while a worker that was asked has time to leave.
void retire_worker(SlotNo for_role, bool busy_too, const pg::Moment &now);

// Frees the slot of a worker that has ended. Takes the workers lock.
void free_worker_slot(SlotNo worker);
// Returns whether the postmaster has not started the process of a slot for 10 seconds. A process that starts later
// finds its slot taken.
bool never_came(memory::WorkerSlot &w, const pg::Moment &now);
// Takes the slot from a process that has not come, so that it can be freed. Returns false if the process has come just
// now. Takes the workers lock.
bool take_from_unborn(memory::WorkerSlot *w);

// The first step of each of our processes: installs signal handlers, and registers at_exit(arg) to run before the
// process detaches from shared memory.
void begin_process(void (*at_exit)(int, Datum), Datum arg);
// Sets up the session of a process that works for a whole database, after it has connected: sets the settings that our
// statements need (settings.cpp), and the application name.
void set_up_session(const char *application);
// Reloads the configuration if a reload was requested. Returns whether it did.
bool reload_if_asked();

// Installs the hooks for utility commands. Among others, they make our processes leave a database for a command that
// needs it alone, and keep them out until that command's transaction ends.
void install_utility_hook();

}  // namespace pgqueue::worker
