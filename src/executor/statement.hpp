// Around each statement of a worker's task. Inside executor/ only.
#pragma once

namespace pgqueue::executor {

// Starts statement_timeout for the statement that comes next; the setting may be new since the one before. So may
// exit_on_error, which has no effect in a worker.
void begin_statement();
// Stops the timeout; one that came too late for the statement to notice is forgotten, or it would cancel what comes
// next.
void end_statement();

}  // namespace pgqueue::executor
