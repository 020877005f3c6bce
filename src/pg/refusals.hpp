// Lines in the log about what a process of ours could not do and will try again.
#pragma once
#include "pg/error.hpp"

namespace pgqueue::pg {

// Writes "what: error", unless this process has just said so; a later line has the number of times in between. what
// must be the same text each time.
void log_refusal(const char *what, const ErrorReport &error);

}  // namespace pgqueue::pg
