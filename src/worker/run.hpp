// Runs a claimed task and writes its end.
#pragma once
#include "worker/worker.hpp"

namespace pgqueue::worker::runner {

// Runs one claimed task and writes its end. Does nothing if the scheduler has taken it back.
void run(Claimed *claimed);

}  // namespace pgqueue::worker::runner
