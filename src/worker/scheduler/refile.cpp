// Files ready tasks anew that are in the wrong lists (dispatch/refile.hpp), some of all rows in each turn. Tasks that
// become ready meanwhile are filed right, or are checked by their row when they are due. A task that is filed twice
// does no harm. When a scheduler ends, the marks of the queues stay in shared memory, and the next one begins again.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/refile.hpp"
#include "dispatch/waiters.hpp"
#include "memory/registry.hpp"
#include "pg/testpoint.hpp"
#include "store/catalog.hpp"
#include "store/rows.hpp"
#include "store/scan.hpp"
#include "store/segments.hpp"
#include "task/dependencies.hpp"
#include "task/where.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

constexpr int blocks_in_turn = 64;
constexpr int64 recheck_after = 10 * 1000;  // us; for a queue that waits

struct Pass {
    bool running;
    int64 rebuilds;  // a rebuild in the middle ends it: it files all tasks
    store::ScanPlace place;
    int32 queue_id;  // of the row before
    task::QueueRef queue;
    TimestampTz now;
};
constinit Pass pass{};
constinit bool looked = false;  // for marks that a former scheduler has left

bool wants(const store::TaskRow &row) {
    if (!is_waiting(row.status) || row.group != 0 || (row.flags & flag_waits) != 0 || row.delayed_at > pass.now)
        return false;
    if (pass.queue_id != row.queue_id) {
        pass.queue_id = row.queue_id;
        pass.queue = task::queue_of(row);
    }
    if (pass.queue.slot < 0 || !dispatch::is_refiled(map.queues[pass.queue.slot])) return false;
    if (pass.queue.info->server == map.queues[pass.queue.slot].server) return true;
    // The catalog cache has not received the change yet.
    dispatch::want_refile(pass.queue.slot);
    return false;
}

bool on_row(void *, const store::TaskRow &row) {
    memory::Hint hint;
    if (!wants(row) || !task::hint_of(pass.queue, row, memory::Arrival::Behind, &hint)) return true;
    if (hint.due <= pass.now) hint.due = 0;
    dispatch::enqueue(hint);
    if (map.lanes[hint.lane].role < 0) dispatch::wake_task_waiters(pass.queue.slot, 1);
    return true;
}

// Returns whether all rows were read.
bool file_some(const pg::Moment &now, bool *last) {
    pass.now = now.wall;
    pass.queue_id = 0;
    return transact("file tasks anew", [last] {
        PGQUEUE_TESTPOINT("scheduler-refiles");
        Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        *last = store::scan_part(snapshot, &pass.place, blocks_in_turn, on_row, nullptr);
        UnregisterSnapshot(snapshot);
    });
}

}  // namespace

bool is_refiling() { return pass.running || my_db().reading.refile.load(); }

namespace {

pg::Deadline end_pass(const pg::Moment &now) {
    dispatch::end_refile(self.db);
    pass.running = false;
    return is_refiling() ? now.in(0) : never;
}

}  // namespace

pg::Deadline refile(const pg::Moment &now) {
    static constinit pg::Deadline again{};
    memory::Database &d = my_db();
    // A queue that changes again and again gets one pass after the other. Those of other queues end.
    if (!pass.running && (!looked || d.reading.refile.load() || dispatch::has_strays(self.db))) {
        looked = true;
        pass = Pass{};
        pass.running = dispatch::begin_refile(self.db);
        pass.rebuilds = d.reading.rebuilds;
    }
    if (!pass.running) return is_refiling() ? now.in(recheck_after) : never;
    if (pass.rebuilds != d.reading.rebuilds) return end_pass(now);
    if (!again.passed(now)) return again;
    bool last = false;
    if (!file_some(now, &last)) {
        again = now.in(wait_after_failure(USECS_PER_SEC));
        return again;
    }
    return last ? end_pass(now) : now.in(0);
}

}  // namespace pgqueue::worker::scheduler
