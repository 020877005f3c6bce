// Every setting, in one table (settings.cpp). Values as PostgreSQL keeps them, units in the comments.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::config {

extern bool enabled;
extern char *databases;  // comma list, empty: all
extern char *current_namespace;
extern int max_workers_setting;   // -1: half of max_worker_processes
extern int max_workers_per_role;  // 0: no own limit
extern int worker_idle_timeout;   // ms
extern int max_crashes;           // 0: never quarantined
extern bool tickers;
extern bool adopt_on_start;
extern int dispatch_memory;  // kB
extern int segment_size;     // kB
extern int attempt_history;
extern int notify_interval;  // ms, -1: none
extern bool track_costs;
extern int log_tasks;  // LogTasks

enum LogTasks { log_none, log_failed, log_all };

int max_workers();

// preloaded: also those that only a server start can set.
void define_settings(bool preloaded);

// Is this database among those that get a scheduler?
bool serves_database(const char *name);

}  // namespace pgqueue::config
