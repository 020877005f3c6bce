#include "api/longest_wait.hpp"

#include "core/status.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"

using namespace pgqueue;

namespace {

TimestampTz earlier(TimestampTz a, TimestampTz b) { return a == 0 || (b != 0 && b < a) ? b : a; }

// Returns the longest wait in the wanted queues.
template <typename F>
TimestampTz longest_of(memory::SlotNo role, F wanted) {
    TimestampTz first = 0;
    for (memory::SlotNo i = 0; i < memory::map.shared->used_queues; i++) {
        const memory::Queue &q = memory::map.queues[i];
        if (q.used && !q.paused && wanted(q)) first = earlier(first, api::longest_wait(i, role));
    }
    return first;
}

}  // namespace

TimestampTz api::longest_wait(memory::SlotNo queue, memory::SlotNo role) {
    dispatch::FirstLook look;
    dispatch::look_at_first(queue, role, &look);
    TimestampTz first = 0;
    for (int i = 0; i < look.n_refs; i++) {
        store::TaskRow row;
        // A task has waited since its creation, or since the time to which it was delayed.
        if (store::fetch(look.refs[i], false, &row) && is_waiting(row.status))
            first = earlier(first, Max(row.created_at, row.delayed_at));
    }
    return first;
}

TimestampTz api::longest_wait_in(memory::SlotNo ns, memory::SlotNo role) {
    return longest_of(role, [ns](const memory::Queue &q) { return q.ns == ns; });
}

TimestampTz api::longest_wait_of(memory::SlotNo role) {
    return longest_of(role, [role](const memory::Queue &q) { return q.db == memory::map.roles[role].db; });
}

double api::oldest_ready_seconds(memory::SlotNo queue, const dispatch::WaitingLook &look) {
    const TimestampTz first = look.listed > 0 ? longest_wait(queue, dispatch::every_role) : 0;
    return first == 0 ? -1 : static_cast<double>(Max(GetCurrentTimestamp() - first, int64{0})) / USECS_PER_SEC;
}
