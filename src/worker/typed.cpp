// Runs tasks without a command in this worker: the handler of their type, and the functions around it.
#include "worker/typed.hpp"

#include "executor/handler.hpp"
#include "store/queues.hpp"
#include "store/roles.hpp"
#include "store/rows.hpp"
#include "task/tell_of_failure.hpp"
#include "task/route.hpp"
#include "worker/worker.hpp"

namespace pgqueue::worker::runner {

bool run_typed(const store::TaskRow &row, MemoryContext keep, Jsonb **result) {
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    if (q == nullptr) task::no_handler(row.type);
    if ((row.flags & flag_after_failure) != 0) {
        const task::FailedCall call = task::failed_call(*q, row);
        executor::run_failed_step(call.step, row.payload, call.error);
        return true;
    }
    if (!store::same_role(task::runner_of(*q, row), memory::map.roles[my_slot().role].role_id)) return false;
    task::Route route = task::route_of(*q, row.type);
    if (!route.found) task::no_handler(row.type);
    *result = executor::run_handlers({route.handle, route.before, route.after, row.payload}, true, keep);
    return true;
}

}  // namespace pgqueue::worker::runner
