// Functions that both waiting procedures use.
#pragma once
#include "pg/backend.hpp"
#include "pg/clock.hpp"
#include "pg/error.hpp"

namespace pgqueue::api {

// Raises 25001 if waiting would hold a snapshot: in a transaction block, in a function, or at REPEATABLE READ and
// above.
void check_may_wait(FunctionCallInfo fcinfo, const char *procedure);
// Returns the argument `timeout` in microseconds; NULL: a minute. Raises 22023 if it is out of range.
int64 wait_time(FunctionCallInfo fcinfo, int arg);
// Sleeps until the latch is set, the time has passed, or the session's client has gone. In the last case the next check
// for interrupts ends the session.
void sleep_with_client(long ms, const char *event);
// Commits, then sleeps until the latch is set or the time has passed. Sleeps at most 100 ms if the session has no place
// among the waiters (registered false). SPI must be connected non-atomic. Checks for interrupts.
void sleep_outside_transaction(pg::Deadline end, bool registered, const char *event);

}  // namespace pgqueue::api
