// The slowest and the dearest runs (table slow_run, view slow_task). All functions run in the caller's transaction.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

struct SlowRun {
    int32 ns_id, queue_id;  // in which it ran
    int32 role_id;          // key of the worker's role
    int64 run_us;
    Costs costs;
};

// How many of each kind are kept of a namespace.
constexpr int slow_runs_kept = 100;

// Adds the run of a row's last attempt. The row must have been read with its body. Returns false, and adds nothing, if
// another transaction has locked the table against that.
bool add_slow_run(const TaskRow &row, const SlowRun &run);
// Removes the runs that are neither among the slowest nor among the dearest of their namespace.
void trim_slow_runs();
// The least time of a run and the least CPU time that belong there, in microseconds; 0: there are fewer.
struct LeastRuns {
    int32 ns_id;
    int64 run_us, cpu_us;
};
// Reads them for each namespace that has any, and calls fn.
void each_least_runs(void (*fn)(const LeastRuns &));
// Removes the runs of a queue (0: all of the namespace), or only those of a type (nullptr: all).
void forget_slow_runs(int32 ns_id, int32 queue_id, const char *type);

}  // namespace pgqueue::store
