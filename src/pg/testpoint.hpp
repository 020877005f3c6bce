// Named points where a test build stops while a test holds the advisory lock of that name (hashtext of the name), so
// that crash tests kill a process exactly there. Nothing in other builds.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

#ifdef PGQUEUE_TESTPOINTS
void wait_at_testpoint(const char *name);
#define PGQUEUE_TESTPOINT(name) ::pgqueue::pg::wait_at_testpoint(name)
#else
#define PGQUEUE_TESTPOINT(name) static_cast<void>(0)
#endif

}  // namespace pgqueue::pg
