// Named points at which a test build waits while a test holds the advisory lock of that name (hashtext of the name).
// Crash tests kill a process exactly there. Other builds have none of this.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

#ifdef PGQUEUE_TESTPOINTS
// Waits while a test holds the lock, in a transaction that it starts if none is open.
void wait_at_testpoint(const char *name);
#define PGQUEUE_TESTPOINT(name) ::pgqueue::pg::wait_at_testpoint(name)
#else
#define PGQUEUE_TESTPOINT(name) static_cast<void>(0)
#endif

}  // namespace pgqueue::pg
