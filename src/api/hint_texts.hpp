// Statements that raise a limit, as hints for health and why(). Each is palloc'd.
#pragma once

namespace pgqueue::api {

// Raises the number of workers of the cluster: pgqueue.max_workers, or max_worker_processes if that is the limit.
const char *more_workers();
// Raises the number of workers per role.
const char *more_workers_of_role();
// Raises the shared memory of the dispatcher.
const char *more_dispatch_memory();
// Adds this database to pgqueue.databases.
const char *serve_this_database();

}  // namespace pgqueue::api
