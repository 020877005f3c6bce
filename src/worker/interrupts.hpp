// What interrupts a running task: a cancel, its run limit, its dies_at.
#pragma once
#include "memory/shared.hpp"
#include "pg/clock.hpp"

namespace pgqueue::worker::runner {

// Why the running command was interrupted.
enum class Stop { None, Cancelled, RunLimit, Expired };
// Returns why the running attempt was interrupted.
Stop stop_reason();
// The running attempt, and when it has to stop: a run limit in microseconds after its begin, and a calendar time; 0
// none.
struct Attempt {
    int64 id;
    int32 number;
    pg::Moment began;
    int64 run_limit;
    TimestampTz dies;
};
// Begins to watch an attempt: from now on a cancel, its run limit and its dies_at interrupt the command.
void arm(const Attempt &attempt);
// Ends that, and forgets an interrupt that came too late.
void disarm();
// Installs the signal handlers and the timer of a worker. FATAL if the timer cannot be created.
void install_interrupts();
// Returns why this process is ending, by the sender of the signal.
memory::EndedBy ended_by();

}  // namespace pgqueue::worker::runner
