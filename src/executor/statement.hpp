// statement_timeout of a worker's statements. Inside executor/ only.
#pragma once

namespace pgqueue::executor {

// Starts it for the statement that comes next; the setting may be new since the one before.
void start_statement_timeout();
// Stops it; one that came too late for the statement to notice is forgotten, or it would cancel what comes next.
void stop_statement_timeout();

}  // namespace pgqueue::executor
