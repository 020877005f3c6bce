// When the housekeeper runs: a worker of ours that cleans and rotates segments, so that nothing of it delays a due time.
#include "worker/scheduler/scheduler.hpp"

#include "config/settings.hpp"
#include "pg/guards.hpp"
#include "store/segments.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::map;

constexpr int64 look_every = 5 * int64(USECS_PER_SEC);
constexpr int64 pass_every = 60 * int64(USECS_PER_SEC);

constinit BackgroundWorkerHandle *handle = nullptr;
constinit TimestampTz last_look = 0;
constinit TimestampTz last_pass = 0;
constinit int64 finished_at_last_pass = -1;

int64 finished_rows() {
    int64 sum = 0;
    for (SlotNo q = 0; q < map.shared->n_queues; q++) {
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
    transact("measure the current segment", [&bytes] {
        uint32 slot = pg_atomic_read_u32(&my_db().current_segment);
        bytes = store::segment_bytes(slot < store::ring_segments ? static_cast<int>(slot) : 0);
    });
    return bytes >= int64(config::segment_size) * 1024;
}

}  // namespace

TimestampTz housekeeping(TimestampTz now) {
    bool asked = pg_atomic_exchange_u32(&my_db().clean_asked, 0) != 0;
    int64 finished = finished_rows();
    if (!asked && finished == 0 && finished_at_last_pass <= 0) return never;
    if (!asked && now - last_look < look_every) return last_look + look_every;
    last_look = now;
    if (running()) return now + look_every;
    bool due = asked || now - last_pass >= pass_every || segment_is_full();
    if (due) {
        last_pass = now;
        finished_at_last_pass = finished;
        pg::MemoryScope scope(self.lasting);
        if (!start_housekeeper(self.db, &handle)) handle = nullptr;
    }
    return now + look_every;
}

}  // namespace pgqueue::worker::scheduler
