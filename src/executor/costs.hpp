// What a task costs.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::executor {

// CPU seconds and WAL bytes that this process has used since the last mark.
struct Costs {
    double cpu_seconds;
    int64 wal_bytes;
};
// Set the mark, and return the costs since.
void mark_costs();
Costs costs_since_mark();

}  // namespace pgqueue::executor
