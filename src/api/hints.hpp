// Statements that raise what a setting limits, for health and why().
#pragma once

namespace pgqueue::api {

// Gives the cluster more workers: by pgqueue.max_workers, or by the server's processes where these are the limit.
const char *more_workers();
// Gives each role more workers.
const char *more_workers_of_role();
// Gives the dispatcher more shared memory.
const char *more_dispatch_memory();
// Adds this database to those that are served.
const char *serve_this_database();

}  // namespace pgqueue::api
