// Ends of an attempt on request: failed, put off, cancelled. The request comes from the worker that holds the task, or
// from the task itself while it runs (task/own_run.hpp). What ends an attempt is written by end_attempt()
// (task/transitions.hpp).
#pragma once
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {

// A requested end of an attempt.
struct Ending {
    enum class What { None, Failed, Snoozed, Cancelled } what;
    const char *text;  // error or reason, nullptr: none was given
    int64 delay;       // microseconds; Failed: -1 by the queue's back-off
    bool final;        // Failed: no retry
    Jsonb *result;     // Failed
};

// Returns the given error or reason, or the usual one.
const char *text_of(const Ending &ending);

// Writes the requested end to the row and to the record of its attempt, for end_attempt(). queue nullptr: it was
// deleted. now: the wall clock.
void apply(const Ending &ending, const store::QueueInfo *queue, store::TaskRow *row, End *end, TimestampTz now);

}  // namespace pgqueue::task
