// Statements that raise a limit, as hints for health and why(). Each is palloc'd.
#pragma once
#include "memory/shared.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"

namespace pgqueue::api {

// Raises the number of workers of the cluster: pgqueue.max_workers, or max_worker_processes if that is the limit.
const char *more_workers();
// Returns the statement that shows who has taken the process slots.
const char *who_has_slots();
// Returns whether the scheduler of the database cannot be started, because all process slots are taken.
bool lacks_scheduler(const memory::Database &d);
// Raises the number of workers per role.
const char *more_workers_of_role();
// Raises the shared memory of the dispatcher.
const char *more_dispatch_memory();
// Adds this database to pgqueue.databases.
const char *serve_this_database();
// Returns the statement that doubles a setting of a queue (nullptr: of the namespace), which is `now`.
const char *double_limit(const store::NamespaceInfo &ns, const store::QueueInfo *queue, const char *setting,
                         double now);

}  // namespace pgqueue::api
