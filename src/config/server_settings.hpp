// All settings of pgqueue, defined in one table (settings.cpp). Values are stored as PostgreSQL keeps them; comments
// give the units.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::config {

extern bool enabled;
extern char *databases;  // comma-separated list; empty: all
extern char *current_namespace;
extern int max_workers_setting;   // -1: half of max_worker_processes
extern int max_workers_per_role;  // 0: no limit per role
extern int worker_idle_timeout;   // ms
extern int max_crashes;           // 0: never quarantined
extern bool tickers;
extern bool adopt_on_start;
extern int dispatch_memory;  // kB
extern int segment_size;     // kB
extern int attempt_history;
extern int notify_interval;  // ms, -1: none
extern bool track_costs;
extern int max_types;
extern int stats_flush_interval;  // ms
extern int stats_retention;       // minutes
extern int health_wait;           // ms, -1: no bound
extern int health_failures;       // 0: no bound
extern int log_tasks;             // LogTasks

enum LogTasks { log_none, log_failed, log_all };

// Returns the limit of workers for the cluster: pgqueue.max_workers, or the automatic value if that is -1.
int max_workers();

// Defines all settings. preloaded: also those that can only be set at server start.
void define_settings(bool preloaded);

// Returns whether pgqueue.databases lets this database have a scheduler.
bool serves_database(const char *name);

}  // namespace pgqueue::config
