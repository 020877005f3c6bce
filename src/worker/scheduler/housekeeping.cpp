// When the housekeeper runs: a worker of ours that cleans and rotates segments, so that nothing of it delays a due time. While tasks finish it
// is thought of every minute, and more often while a segment fills; without finished tasks once an hour; in an empty database never.
#include "worker/scheduler/scheduler.hpp"

#include "config/settings.hpp"
#include "pg/guards.hpp"
#include "store/segments.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::map;

constexpr int64 second = USECS_PER_SEC;
constexpr int64 look_every = 10 * second;
constexpr int64 pass_every = 60 * second;
constexpr int64 quiet_pass_every = 3600 * second;

constinit BackgroundWorkerHandle *handle = nullptr;
constinit TimestampTz last_look = 0;
constinit TimestampTz last_pass = 0;
constinit int64 finished_then = -1;

// Sum of finished tasks, and of all changes that it has seen: equal sums mean a quiet time.
int64 finished_rows() {
    int64 sum = 0;
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        dispatch::Queue &queue = map.queues[q];
        if (!queue.used || queue.db != self.db) continue;
        for (int s = static_cast<int>(Status::Released); s < status_count; s++) sum += static_cast<int64>(pg_atomic_read_u64(&queue.counts[s]));
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

bool segment_is_full() {
    int64 bytes = 0;
    transact("measure the current segment", [&bytes] { bytes = store::segment_bytes(store::ring_current()); });
    return bytes >= int64(config::segment_size) * 1024;
}

void start(TimestampTz now, int64 finished) {
    last_pass = now;
    finished_then = finished;
    pg::MemoryScope scope(self.lasting);
    if (!start_housekeeper(self.db, &handle)) handle = nullptr;
}

}  // namespace

TimestampTz housekeeping(TimestampTz now) {
    dispatch::Database &d = my_db();
    bool asked = pg_atomic_exchange_u32(&d.clean_asked, 0) != 0;
    if (!asked && now - last_look < look_every && pg_atomic_read_u32(&d.cleaning_timer) != 0) return last_look + look_every;
    last_look = now;
    int64 finished = finished_rows();
    bool quiet = finished == finished_then;
    // Set before the rows are counted again, so that no finished task after this is missed.
    pg_atomic_write_u32(&d.cleaning_timer, quiet ? 0 : 1);
    if (running()) return now + look_every;
    if (asked || now - last_pass >= (quiet ? quiet_pass_every : pass_every) || (!quiet && segment_is_full())) {
        if (finished > 0 || asked) start(now, finished);
    }
    if (!quiet) return now + look_every;
    return finished > 0 ? last_pass + quiet_pass_every : never;
}

}  // namespace pgqueue::worker::scheduler
