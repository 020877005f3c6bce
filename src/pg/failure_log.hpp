// Log lines about work that failed and will be tried again.
#pragma once
#include "pg/error.hpp"

namespace pgqueue::pg {

// Writes "what: error" to the log, unless this process has written such a line lately. The next line then has the
// number of those left out. `what` must be the same text each time.
void log_refusal(const char *what, const ErrorReport &error);

}  // namespace pgqueue::pg
