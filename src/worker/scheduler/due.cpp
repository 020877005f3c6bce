// Tasks whose time has come, and ready tasks that nobody took in time.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/due.hpp"
#include "dispatch/expiry.hpp"
#include "dispatch/outside.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/wake.hpp"
#include "store/catalog.hpp"
#include "task/lifecycle.hpp"

namespace pgqueue::worker::scheduler {
namespace {

constexpr int due_batch = 256;
constexpr int expire_batch = 2048;

void expire_one(const TaskRef &ref, TimestampTz now) {
    store::TaskRow row;
    if (store::lock(ref, store::Wait::Skip, false, &row) != store::Locked::Yes) return;
    if (!is_waiting(row.status) || row.dies_at == 0 || row.dies_at > now) return;
    task::end_waiting(&row, Status::Expired, {}, now, store::Wait::Skip);
}

}  // namespace

TimestampTz move_due(TimestampTz now) {
    dispatch::DueEntry batch[due_batch];
    int n;
    while ((n = dispatch::take_due(self.db, now, batch, due_batch)) > 0) {
        for (int i = 0; i < n; i++) {
            const dispatch::DueEntry &e = batch[i];
            if (!dispatch::add_ready(e.lane, e.priority, e.ref, e.dies)) pg_atomic_write_u32(&my_db().lost, 1);
            SlotNo role = dispatch::map.lanes[e.lane].role;
            if (role >= 0)
                dispatch::wake_idle_workers(self.db, role, 1);
            else
                dispatch::wake_task_waiters(dispatch::map.lanes[e.lane].queue, 1);
        }
    }
    return dispatch::next_due(self.db);
}

TimestampTz expire(TimestampTz now) {
    while (dispatch::next_expiry(self.db) <= now) {
        auto *refs = static_cast<TaskRef *>(MemoryContextAlloc(self.scratch, sizeof(TaskRef) * expire_batch));
        int n = dispatch::collect_expired(self.db, now, refs, expire_batch);
        if (n == 0) break;
        transact("expire tasks", [refs, n, now] {
            for (int i = 0; i < n; i++) expire_one(refs[i], now);
        });
        if (n < expire_batch / 2) break;
    }
    TimestampTz next = dispatch::next_expiry(self.db);
    return next <= now ? now + int64(USECS_PER_SEC) : next;
}

}  // namespace pgqueue::worker::scheduler
