#include "executor/costs.hpp"

namespace pgqueue::executor {
namespace {

constinit Costs mark{};

int64 micros_of(const timeval &t) { return int64(t.tv_sec) * int64(USECS_PER_SEC) + t.tv_usec; }

// Returns what this process has used so far.
Costs used() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const BufferUsage &b = pgBufferUsage;
    return {true,
            micros_of(usage.ru_utime) + micros_of(usage.ru_stime),
            static_cast<int64>(pgWalUsage.wal_bytes),
            b.shared_blks_hit + b.local_blks_hit,
            b.shared_blks_read + b.local_blks_read,
            b.shared_blks_dirtied + b.local_blks_dirtied,
            (b.local_blks_written + b.temp_blks_written) * BLCKSZ};
}

}  // namespace

void mark_costs() { mark = used(); }

Costs costs_since_mark() {
    const Costs now = used();
    return {true,
            now.cpu_us - mark.cpu_us,
            now.wal_bytes - mark.wal_bytes,
            now.blocks_hit - mark.blocks_hit,
            now.blocks_read - mark.blocks_read,
            now.blocks_dirtied - mark.blocks_dirtied,
            now.temp_bytes - mark.temp_bytes};
}

}  // namespace pgqueue::executor
