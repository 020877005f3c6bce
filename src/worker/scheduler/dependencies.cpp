// Tasks that wait for others: what commits have posted is looked at here, so that who ends a task waits for nobody.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/awaited.hpp"
#include "pg/testpoint.hpp"
#include "store/dependencies.hpp"
#include "task/workflow.hpp"

namespace pgqueue::worker::scheduler {
namespace {

constexpr int settled_at_once = 64;
constexpr int64 look_again = 20 * 1000;

constexpr int64 look_after_failure = USECS_PER_SEC / 2;

// Settles the ids, some in a transaction. What is in somebody's hands, or failed, is posted again. Returns how long to wait then, 0 all was done.
int64 settle_ids(const int64 *ids, int count) {
    constexpr int most_failures = 8;
    int64 wait = 0;
    int failures = 0;
    for (int at = 0; at < count; at += settled_at_once) {
        int end = Min(at + settled_at_once, count);
        bool again[settled_at_once] = {}, failed[settled_at_once] = {};
        auto settle = [&](int i) {
            if (i == 0) PGQUEUE_TESTPOINT("scheduler-settling");
            again[i] = !task::settle(ids[at + i], GetCurrentTimestamp());
        };
        auto left = [&](int i) { failed[i] = true; };
        // After so many failures the reason is no matter of one of them.
        if (failures < most_failures)
            failures += transact_each("look at tasks that wait for others", end - at, settle, left);
        else
            for (int i = at; i < end; i++) left(i - at);
        for (int i = at; i < end; i++)
            if (failed[i - at] || again[i - at]) {
                dispatch::post_settle(self.db, ids[i], dispatch::Wake::Quiet);
                wait = Max(wait, failed[i - at] ? look_after_failure : look_again);
            }
    }
    return wait;
}

// Everything from the tables: after a start, when posts did not fit, or when a queue is gone.
int64 settle_everything() {
    store::Ids all{nullptr, 0};
    bool count = pg_atomic_read_u32(&my_db().awaited_known) == 0;
    bool ok = transact("read which tasks wait for others", [&all, count] {
        if (count) store::each_awaited([](int64 id, int32 n) { dispatch::add_awaited(self.db, id, n); });
        MemoryContext before = MemoryContextSwitchTo(self.scratch);
        all = store::everybody_involved();
        MemoryContextSwitchTo(before);
    });
    if (!ok) {
        dispatch::post_settle_all(self.db, dispatch::Wake::Quiet);
        return look_after_failure;
    }
    pg_atomic_write_u32(&my_db().awaited_known, 1);
    return settle_ids(all.items, all.count);
}

}  // namespace

pg::Deadline settle_dependencies(const pg::Moment &now) {
    if (!dispatch::anything_posted(self.db)) return never;
    int64 ids[dispatch::settle_posts];
    int n = dispatch::take_posted(self.db, ids);
    int64 wait = settle_ids(ids, n);
    if (dispatch::take_posted_all(self.db)) wait = Max(wait, settle_everything());
    return wait == 0 ? never : now.in(wait);
}

}  // namespace pgqueue::worker::scheduler
