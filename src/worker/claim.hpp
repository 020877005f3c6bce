// Turns popped hints into rows that this worker has retained.
#pragma once
#include "worker/worker.hpp"

namespace pgqueue::worker::runner {

// Claims the tasks of the slot's holds in one transaction. `out` has room for them. Returns how many may run. Frees the
// holds of the others, and files them where they belong.
int claim(Claimed *out);

}  // namespace pgqueue::worker::runner
