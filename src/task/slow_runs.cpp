#include "task/slow_runs.hpp"

#include "pg/guards.hpp"
#include "store/roles.hpp"
#include "store/rows_find.hpp"
#include "store/slow_runs.hpp"

namespace pgqueue::task {
namespace {

constexpr int64 least_of_all = 1000;  // microseconds

bool exceeds(int64 us, const pg::Atomic<int64> &least) { return us > Max(least.load(), least_of_all); }

// The housekeeper trims the table and sets the bounds anew. If many runs come before that, a bound that they exceed
// rises, so that the table stays small.
void raise_bound(int64 us, pg::Atomic<int64> *least) {
    if (exceeds(us, *least)) least->store(Max(least->load(), least_of_all) * 2);
}

}  // namespace

void note_slow_run(const QueueRef &queue, const store::TaskRow &before, const store::TaskRow &after, const End &end,
                   TimestampTz now) {
    if (queue.slot < 0 || before.status != Status::Retained || end.outcome == AttemptEnd::Lost) return;
    using memory::map;
    const memory::Queue &q = map.queues[queue.slot];
    if (q.queue_id < memory::first_id_of_users) return;
    memory::SlowRuns &slow = map.namespaces[q.ns].slow_runs;
    const int64 ran = now - before.started_at, cpu = end.costs.cpu_us;
    if (!exceeds(ran, slow.least_run_us) && !exceeds(cpu, slow.least_cpu_us)) return;
    pg::TempContext scratch;
    store::TaskRow whole;
    if (!store::fetch(after.ref, true, &whole)) return;
    if (!store::add_slow_run(
            whole, {map.namespaces[q.ns].ns_id, before.queue_id, store::known_role_id_of(GetUserId()), ran, end.costs}))
        return;
    if (slow.added.fetch_add(1) % store::slow_runs_kept != store::slow_runs_kept - 1) return;
    raise_bound(ran, &slow.least_run_us);
    raise_bound(cpu, &slow.least_cpu_us);
}

}  // namespace pgqueue::task
