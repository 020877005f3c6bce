// The costs of a run: CPU time and WAL of this process.

#include "executor/costs.hpp"
namespace pgqueue::executor {
namespace {

struct Mark {
    double cpu_seconds;
    uint64 wal_bytes;
};
constinit Mark mark{};

// Returns the user and system time of this process so far.
double cpu_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

}  // namespace

void mark_costs() { mark = {cpu_seconds(), pgWalUsage.wal_bytes}; }

Costs costs_since_mark() { return {cpu_seconds() - mark.cpu_seconds, int64(pgWalUsage.wal_bytes - mark.wal_bytes)}; }

}  // namespace pgqueue::executor
