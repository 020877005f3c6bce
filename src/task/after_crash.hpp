// What becomes of a retained task whose process ended before it did: retry, quarantine or failure. Each function
// returns false if another transaction was faster.
#pragma once
#include "task/transitions.hpp"

namespace pgqueue::task {

// Charges a crash to a retained task whose process ended while it ran. The attempt does not count as a try. After
// pgqueue.max_crashes crashes the task fails as quarantined.
bool charge_crash(const QueueRef &queue, store::TaskRow *row, int sqlstate, const char *message, TimestampTz now);

// Retries a retained task whose process was terminated by an administrator. The attempt does not count as a try. After
// max_uncounted attempts that did not count, it counts as a crash.
bool charge_terminated(const QueueRef &queue, store::TaskRow *row, TimestampTz now);

// Fails the attempt of a retained task whose process ended at a limit of the task or of its transaction. This counts as
// an ordinary failure.
bool fail_stopped(const QueueRef &queue, store::TaskRow *row, int sqlstate, const char *message, TimestampTz now);

}  // namespace pgqueue::task
