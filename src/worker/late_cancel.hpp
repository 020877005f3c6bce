// A cancel that came too late for the attempt it names.
#pragma once

namespace pgqueue::worker::runner {

// cancel_task leaves a running task to its worker. If the attempt ends in that moment and the task will be tried again,
// this ends the waiting task, or passes the request on to the worker that has it now. Runs a transaction if there is
// such a request. Waits for nobody: if the row is locked, or the transaction fails, the next call tries again.
void take_late_cancel();
// The request was for the attempt that has ended by it.
void forget_cancel();

}  // namespace pgqueue::worker::runner
