#include "api/longest_wait.hpp"

#include "core/status.hpp"
#include "store/rows.hpp"

using namespace pgqueue;

namespace {

TimestampTz earlier(TimestampTz a, TimestampTz b) { return a == 0 || (b != 0 && b < a) ? b : a; }

// Of the queues that are wanted.
template <typename F>
TimestampTz longest_of(dispatch::SlotNo role, F wanted) {
    TimestampTz first = 0;
    for (dispatch::SlotNo i = 0; i < dispatch::map.shared->used_queues; i++) {
        const dispatch::Queue &q = dispatch::map.queues[i];
        if (q.used && !q.paused && wanted(q)) first = earlier(first, api::longest_wait(i, role));
    }
    return first;
}

}  // namespace

TimestampTz api::longest_wait(dispatch::SlotNo queue, dispatch::SlotNo role) {
    dispatch::FirstLook look;
    dispatch::look_at_first(queue, role, &look);
    TimestampTz first = 0;
    for (int i = 0; i < look.n_refs; i++) {
        store::TaskRow row;
        // A task waits since it was made, or since the time that it was delayed to.
        if (store::fetch(look.refs[i], false, &row) && is_waiting(row.status)) first = earlier(first, Max(row.created_at, row.delayed_at));
    }
    return first;
}

TimestampTz api::longest_wait_in(dispatch::SlotNo ns, dispatch::SlotNo role) {
    return longest_of(role, [ns](const dispatch::Queue &q) { return q.ns == ns; });
}

TimestampTz api::longest_wait_of(dispatch::SlotNo role) {
    return longest_of(role, [role](const dispatch::Queue &q) { return q.db == dispatch::map.roles[role].db; });
}
