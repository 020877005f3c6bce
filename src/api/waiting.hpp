// What both procedures that wait have in common.
#pragma once
#include "pg/backend.hpp"
#include "pg/clock.hpp"
#include "pg/error.hpp"

namespace pgqueue::api {

// 25001 where waiting would hold a snapshot: in a transaction block, a function, or at REPEATABLE READ and above.
void check_may_wait(FunctionCallInfo fcinfo, const char *procedure);
// The timeout in microseconds: NULL a minute.
int64 wait_time(FunctionCallInfo fcinfo, int arg);
// Sleeps until the latch is set, the time is over or the client of the session is gone; the next look at interrupts
// ends the session then.
void sleep_with_client(long ms, const char *event);
// Commits and sleeps until the latch is set or the time is over; without a place among the waiters only for a short
// time. SPI must be connected non-atomic.
void sleep_outside_transaction(pg::Deadline end, bool registered, const char *event);

}  // namespace pgqueue::api
