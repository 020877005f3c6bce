// What a run costs. Whole numbers, so that sums are exact.
#pragma once
#include <cstdint>

namespace pgqueue {

struct Costs {
    bool known = false;  // they were measured
    std::int64_t cpu_us = 0;
    std::int64_t wal_bytes = 0;
    std::int64_t blocks_hit = 0, blocks_read = 0, blocks_dirtied = 0;  // of tables and indexes, shared and temporary
    std::int64_t temp_bytes = 0;                                       // written to temporary files
    std::int64_t rows = -1;                                            // processed; < 0: not known, measured or not

    double cpu_seconds() const { return static_cast<double>(cpu_us) / 1e6; }
};

}  // namespace pgqueue
