#include "api/longest_wait.hpp"

#include "core/status.hpp"
#include "pg/clock.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"

using namespace pgqueue;

namespace {

using memory::map;

TimestampTz earlier(TimestampTz a, TimestampTz b) { return a == 0 || (b != 0 && b < a) ? b : a; }

// Returns whether the rows say that tasks wait. Lists have entries of tasks that were cancelled, too.
bool any_waits(const memory::Queue &q) {
    const auto count = [&q](int status) { return q.counts[status].load(); };
    return count(static_cast<int>(Status::New)) + count(static_cast<int>(Status::Retry)) > count(memory::awaiting);
}

bool has_lane(memory::SlotNo queue, memory::SlotNo role) {
    if (role == dispatch::every_role) return true;
    for (memory::SlotNo lane : memory::lanes_of(map.queues[queue]))
        if (map.lanes[lane].role == role && map.lanes[lane].count > 0) return true;
    return false;
}

}  // namespace

TimestampTz api::longest_wait(memory::SlotNo queue, memory::SlotNo role, int64 *id) {
    dispatch::FirstLook look;
    dispatch::look_at_first(queue, role, &look);
    TimestampTz first = 0;
    int64 first_id = 0;
    const auto add = [&](TimestampTz since, int64 task) {
        if (earlier(first, since) == first) return;
        first = since;
        first_id = task;
    };
    for (int i = 0; i < look.n_refs; i++) {
        store::TaskRow row;
        // A task has waited since its creation, or since the time to which it was delayed.
        if (store::fetch(look.refs[i], false, &row) && is_waiting(row.status))
            add(Max(row.created_at, row.delayed_at), row.ref.id);
    }
    if (look.in_file_since != 0 && any_waits(map.queues[queue])) add(pg::this_moment().to_wall(look.in_file_since), 0);
    if (id != nullptr) *id = first_id;
    return first;
}

TimestampTz api::longest_wait_among(std::span<const dispatch::QueueSurvey> queues, memory::SlotNo ns,
                                    memory::SlotNo role) {
    constexpr int most = 8;
    const dispatch::QueueSurvey *oldest[most];
    int n = 0;
    for (const dispatch::QueueSurvey &s : queues) {
        const memory::Queue &q = map.queues[s.queue];
        if (s.ready == 0 || q.paused || (ns >= 0 && q.ns != ns) || !has_lane(s.queue, role)) continue;
        if (n == most && oldest[most - 1]->since <= s.since) continue;
        int i = n < most ? n++ : most - 1;
        for (; i > 0 && oldest[i - 1]->since > s.since; i--) oldest[i] = oldest[i - 1];
        oldest[i] = &s;
    }
    TimestampTz first = 0;
    for (int i = 0; i < n; i++) first = earlier(first, longest_wait(oldest[i]->queue, role));
    return first;
}

double api::oldest_ready_seconds(memory::SlotNo queue, const dispatch::WaitingLook &look) {
    const TimestampTz first = look.listed > 0 ? longest_wait(queue, dispatch::every_role) : 0;
    return first == 0 ? -1 : static_cast<double>(Max(GetCurrentTimestamp() - first, int64{0})) / USECS_PER_SEC;
}
