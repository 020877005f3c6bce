// The processes of pgqueue and how they are started. States: README.md beside this file.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::worker {

using memory::SlotNo;

// In _PG_init, preloaded: the one static process.
void register_launcher();

// What a worker's process is told at its start, beside its slot.
struct WorkerStart {
    uint32 generation;  // of the slot
    bool can_login;     // its role
};

// Handles of dynamic processes; false when no process slot is free. Never raises for that.
bool start_scheduler(SlotNo db, BackgroundWorkerHandle **handle);
bool start_worker(SlotNo worker, uint32 generation, bool can_login, BackgroundWorkerHandle **handle);
bool start_housekeeper(SlotNo db, BackgroundWorkerHandle **handle);

constexpr int64 turn_length = 100 * 1000;  // a role keeps its only worker this long while another one has none
// A role keeps an idle worker this long while another one has some but wants more: what it makes next need not wait for
// a process.
constexpr int64 pause_between_tasks = int64(USECS_PER_SEC);
// Somebody who was asked to leave is waited for this long before another one is asked: its task may take hours.
constexpr int64 time_to_leave = int64(USECS_PER_SEC);

// A role (-1: a database without scheduler) waits for a process: the longest idle worker of others leaves. busy_too:
// the role has none; any idle one will do, and when there is none, the role with most workers gives up one after its
// task.
void retire_worker(SlotNo for_role, bool busy_too, const pg::Moment &now);

// The place of a worker that is gone, for another one.
void free_worker_slot(SlotNo worker);
// Whether the postmaster has had its time to start the process of a slot and has not. One that comes later finds its
// place taken.
bool never_came(memory::WorkerSlot &w, const pg::Moment &now);

// What every process of ours does first: signals, shared exit callback order, application of pending settings.
void begin_process(void (*at_exit)(int, Datum), Datum arg);
// The session of a process that works for a whole database, once it is connected: the settings that our statements need
// (settings.cpp).
void set_up_session(const char *application);
// Reloads the configuration when it was asked for. Returns whether it was.
bool reload_if_asked();

// Lets our processes leave a database for a command that needs it alone, and keeps them out until that command's
// transaction ends.
void install_utility_hook();

}  // namespace pgqueue::worker
