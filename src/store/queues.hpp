// What the caches of the catalog share. Inside store/ only.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// A relation of schema pgqueue_internal; raises when the extension is not there.
Oid internal_relation(const char *name);

// The next question for a queue looks at the table.
void forget_queues();

void register_queue_callbacks();

}  // namespace pgqueue::store
