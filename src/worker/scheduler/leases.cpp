// Leases of outside workers that end, and those who wait for tasks.
#include "worker/scheduler/scheduler.hpp"

#include "config/settings.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/outside.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/wake.hpp"
#include "store/catalog.hpp"
#include "task/outside.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::map;

constexpr int batch = 256;
// How long a row in somebody's hands is left alone: a commit tells in a moment, a roll back by itself, others some time.
constexpr int64 look_again = 20 * 1000, look_again_late = 1000 * 1000;
constinit int64 patience = look_again;

// What ends first is first in line again.
int by_end(const void *a, const void *b) {
    const auto &x = *static_cast<const dispatch::Lease *>(a);
    const auto &y = *static_cast<const dispatch::Lease *>(b);
    if (x.time.ends != y.time.ends) return x.time.ends < y.time.ends ? -1 : 1;
    return x.id < y.id ? -1 : x.id > y.id ? 1 : 0;
}

}  // namespace

pg::Deadline end_leases(const pg::Moment &now) {
    if (pg::Deadline next = dispatch::next_lease_end(self.db, now); !next.passed(now)) return next;
    auto *ended = static_cast<dispatch::Lease *>(MemoryContextAlloc(self.scratch, sizeof(dispatch::Lease) * batch));
    bool ok = true, all = true;
    for (SlotNo from = 0; ok && from >= 0;) {
        int n = dispatch::collect_ended(self.db, now, &from, ended, batch);
        if (n == 0) break;
        qsort(ended, static_cast<std::size_t>(n), sizeof(dispatch::Lease), by_end);
        ok = transact("end leases", [ended, n, &now, &all] {
            for (int i = 0; i < n; i++) all = task::lease_over(ended[i], now) && all;
        });
    }
    // A row in somebody's hands: the lease may be released or extended by a transaction that has not ended.
    if (!ok || !all) dispatch::note_lease_end(self.db, now.monotonic + patience);
    patience = ok && all ? look_again : Min(patience * 2, look_again_late);
    return dispatch::next_lease_end(self.db, now);
}

void wake_waiters() {
    if (pg_atomic_read_u32(&my_db().task_waiters) == 0) return;
    for (dispatch::TaskWaiter &w : map.shared->task_waiters) {
        if (static_cast<dispatch::WaitState>(pg_atomic_read_u32(&w.state)) != dispatch::WaitState::Waiting || w.db != self.db) continue;
        if (!dispatch::ready_for_outside(w.ns, {w.queues, static_cast<std::size_t>(w.n_queues)})) continue;
        uint32 waiting = static_cast<uint32>(dispatch::WaitState::Waiting);
        if (pg_atomic_compare_exchange_u32(&w.state, &waiting, static_cast<uint32>(dispatch::WaitState::Woken))) dispatch::wake_procno(w.procno);
    }
}

namespace {

constinit pg::Deadline notified{INT64_MIN};  // when we last did

// One NOTIFY for each queue that got ready tasks for outside workers since the last time.
void notify_queues() {
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        dispatch::Queue &queue = map.queues[q];
        if (!queue.used || queue.db != self.db || pg_atomic_exchange_u32(&queue.news, 0) == 0) continue;
        const store::QueueInfo *info = store::queue_by_id(queue.queue_id);
        const store::NamespaceInfo *ns = info ? store::namespace_by_id(info->ns_id) : nullptr;
        if (ns == nullptr) continue;
        char channel[NAMEDATALEN];
        snprintf(channel, sizeof(channel), "pgqueue_%s", ns->name);
        Async_Notify(channel, info->name);
    }
}

}  // namespace

pg::Deadline notify_listeners(const pg::Moment &now) {
    dispatch::Database &d = my_db();
    if (config::notify_interval < 0 || pg_atomic_read_u32(&d.listened) == 0 || pg_atomic_read_u32(&d.news) == 0) return never;
    pg::Deadline next = notified.after(int64(config::notify_interval) * 1000);
    if (!next.passed(now)) return next;
    notified = now.in(0);
    pg_atomic_write_u32(&d.news, 0);
    pg_memory_barrier();
    transact("notify listeners", [] { notify_queues(); });
    return never;
}

}  // namespace pgqueue::worker::scheduler
