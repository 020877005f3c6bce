// Decides when the housekeeper runs, a separate process so that it delays no due time: as soon as the system queue has
// a task. The ticker `cleanup` creates one each hour. Here it gets an extra one each minute while tasks finish, and
// sooner while a segment fills.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "dispatch/look.hpp"
#include "handover/counts.hpp"
#include "memory/held_back.hpp"
#include "memory/registry.hpp"
#include "pg/guards.hpp"
#include "store/catalog.hpp"
#include "store/segments.hpp"
#include "task/fire_ticker.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

constexpr int64 second = USECS_PER_SEC;
constexpr int64 look_every = 10 * second;
constexpr int64 pass_every = 60 * second;
// The waits before a truncation that a snapshot or a lock held back is tried again, each twice as long as the one
// before.
constexpr int64 first_try = second / 4, longest_try = 8 * second;

constexpr int64 start_every = second / 2;

constinit BackgroundWorkerHandle *handle = nullptr;
constinit pg::Deadline next_start{};  // of another housekeeper
constinit bool no_slot = false;       // the last attempt to start it found no process slot

// Sums the finished tasks of all queues. Equal sums mean a quiet time.
int64 finished_rows() {
    int64 sum = 0;
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        memory::Queue &queue = map.queues[q];
        if (!queue.used || queue.db != self.db) continue;
        for (int s = static_cast<int>(Status::Released); s < status_count; s++) sum += queue.counts[s].load();
    }
    return sum;
}

bool running() {
    if (handle == nullptr) return false;
    pid_t pid;
    if (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED) return true;
    pfree(handle);
    handle = nullptr;
    return false;
}

int64 segment_bytes() {
    int64 bytes = 0;
    transact("measure the current segment", [&bytes] { bytes = store::segment_bytes(store::ring_current()); });
    return bytes;
}

SlotNo system_queue() { return memory::find_queue(self.db, store::housekeeping_queue); }

// Fires the ticker once more, unless a task of it waits or runs, or another transaction holds the ticker's row. Returns
// false if that was not possible.
bool make_task() {
    SlotNo queue = system_queue();
    if (queue >= 0 && handover::unfinished(queue) > 0) return true;
    return transact("make a task for the housekeeper", [] {
        store::Ticker ticker;
        int32 id = store::cleanup_ticker;
        if (store::lock_tickers({&id, 1}, &ticker) == 1) task::fire(&ticker, task::no_slot, GetCurrentTimestamp());
    });
}

// Decides whether to clean. Returns when to decide again. A commit that ends a task after a quiet time wakes the
// scheduler sooner. Queues that delete finished tasks leave no rows to count; there the growth of the segment decides.
pg::Deadline think(const pg::Moment &now) {
    memory::Cleaning &then = my_db().cleaning;
    if (!then.look_again.passed(now)) return my_db().cleaning.timer.load() ? then.look_again : never;
    then.look_again = now.in(look_every);
    // Set before the rows are counted, so that no task that finishes later is missed.
    my_db().cleaning.timer.store(false);
    pg_memory_barrier();
    int64 finished = finished_rows(), bytes = segment_bytes();
    bool owed = my_db().cleaning.owed.load();
    bool cleaned = (finished == 0 || finished == then.finished) && !owed, quiet = cleaned && bytes == then.bytes;
    then.bytes = bytes;
    if (quiet) return never;
    my_db().cleaning.timer.store(true);
    if ((!cleaned && then.next_pass.passed(now)) || bytes >= int64(config::segment_size) * 1024) {
        if (make_task()) then.finished = finished;
    }
    return then.look_again;
}

// The next try of a truncation that is held back.
struct Retry {
    int64 wait;  // 0: nothing is held back
    pg::Deadline at;
};
constinit Retry retry{0, never};

void follow_held_back(const pg::Moment &now) {
    bool held = (my_db().housekeeper.held_back.load() & memory::truncation_held) != 0;
    if (!held)
        retry = {0, never};
    else if (retry.wait == 0)
        retry = {first_try, now.in(first_try)};
}

void count_try(const pg::Moment &now) {
    if (retry.wait == 0) return;
    retry.wait = Min(2 * retry.wait, longest_try);
    retry.at = now.in(retry.wait);
}

// Since when statistics wait to be saved, and when that was tried last.
struct Unsaved {
    bool any = false;
    pg::Moment since{};
    pg::Deadline retry{};  // no process slot was free
};
constinit Unsaved unsaved{};

// Returns when the housekeeper is to save statistics: a while after the first change, but before the minute ends,
// because stat_history counts by minutes.
pg::Deadline when_to_save(const pg::Moment &now) {
    const bool before = std::exchange(unsaved.any, my_db().unsaved.any.load());
    if (!unsaved.any) return never;
    if (!before) unsaved.since = now;
    const int64 left = USECS_PER_MINUTE - unsaved.since.wall % USECS_PER_MINUTE;
    return Max(unsaved.retry, unsaved.since.in(Min(int64{config::stats_flush_interval} * 1000, left)));
}

}  // namespace

bool housekeeper_waits() { return no_slot; }

pg::Deadline housekeeping(const pg::Moment &now) {
    no_slot = false;
    pg::Deadline next = think(now);
    follow_held_back(now);
    SlotNo queue = system_queue();
    bool task = queue >= 0 && dispatch::inspect_queue(queue).ready > 0;
    // A housekeeper that could not take its task leaves at once.
    if (task && !next_start.passed(now)) {
        task = false;
        next = Min(next, next_start);
    }
    const pg::Deadline save_at = when_to_save(now);
    const bool save = save_at.passed(now);
    if (!save) next = Min(next, save_at);
    if (!task && !save && !retry.at.passed(now)) return Min(next, retry.at);
    if (running()) return Min(next, now.in(second));
    if (task) my_db().cleaning.next_pass = now.in(pass_every);
    count_try(now);
    next = Min(next, retry.at);
    pg::MemoryScope scope(self.lasting);
    if (save) unsaved.retry = now.in(second);
    if (save) next = Min(next, unsaved.retry);
    if (start_housekeeper(self.db, &handle)) {
        next_start = now.in(start_every);
        // What commits change from now on waits anew, also if that is before this process looks again.
        if (save) unsaved.since = now;
        return next;
    }
    handle = nullptr;
    no_slot = task;
    if (task) retire_worker(-1, true, now);
    return next;
}

}  // namespace pgqueue::worker::scheduler
