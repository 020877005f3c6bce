#include "task/slow_runs.hpp"

#include "pg/guards.hpp"
#include "store/roles.hpp"
#include "store/rows_find.hpp"
#include "store/slow_runs.hpp"

namespace pgqueue::task {
namespace {

constexpr int64 least_us = 1000;  // microseconds

bool is_slow(const memory::SlowRuns &slow, int64 run_us, int64 cpu_us) {
    return run_us > Max(slow.least_run_us.load(), least_us) || cpu_us > Max(slow.least_cpu_us.load(), least_us);
}

// The housekeeper trims the table and sets the bounds anew. If many runs come before that, the bounds rise, so that the
// table stays small.
void count_slow(memory::SlowRuns *slow) {
    if (slow->added.fetch_add(1) % store::slow_runs_kept != store::slow_runs_kept - 1) return;
    for (pg::Atomic<int64> *least : {&slow->least_run_us, &slow->least_cpu_us})
        least->store(Max(least->load(), least_us) * 2);
}

}  // namespace

void note_slow_run(const QueueRef &queue, const store::TaskRow &before, const store::TaskRow &after, const End &end,
                   TimestampTz now) {
    if (queue.slot < 0 || before.status != Status::Retained || end.outcome == AttemptEnd::Lost) return;
    using memory::map;
    const memory::Queue &q = map.queues[queue.slot];
    if (q.queue_id < memory::first_id_of_users) return;
    memory::SlowRuns &slow = memory::database(q.db).slow_runs;
    const int64 ran = now - before.started_at;
    if (!is_slow(slow, ran, end.costs.cpu_us)) return;
    pg::TempContext scratch;
    store::TaskRow whole;
    if (!store::fetch(after.ref, true, &whole)) return;
    if (store::add_slow_run(
            whole, {map.namespaces[q.ns].ns_id, before.queue_id, store::known_role_id_of(GetUserId()), ran, end.costs}))
        count_slow(&slow);
}

}  // namespace pgqueue::task
