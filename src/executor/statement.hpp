// Called around each statement of a worker's task. Inside executor/ only.
#pragma once

namespace pgqueue::executor {

// Starts statement_timeout for the next statement, because the setting may have changed. Also clears exit_on_error,
// which has no effect in a worker.
void begin_statement();
// Stops the timeout. Forgets a timeout that came too late for the statement, because it would cancel the next one.
void end_statement();

}  // namespace pgqueue::executor
