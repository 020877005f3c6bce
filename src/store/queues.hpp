// Functions that the caches of the catalog share. Inside store/ only.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Returns a relation of schema pgqueue_internal. Raises 55000 if the extension is not installed.
Oid internal_relation(const char *name);

// Makes the next look-up of a queue read the table.
void forget_queues();

// Registers the callbacks for invalidations of the table of queues. Called once per process.
void register_queue_callbacks();

}  // namespace pgqueue::store
