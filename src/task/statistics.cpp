#include "task/statistics.hpp"

#include "handover/statistics.hpp"

namespace pgqueue::task {
namespace {

using handover::add_time_at_commit;
using handover::add_total_at_commit;

// Returns the total for tasks that end with this status.
Total total_of_end(Status status) {
    switch (status) {
        case Status::Released: return Total::Released;
        case Status::Expired: return Total::Expired;
        case Status::Cancelled: return Total::Cancelled;
        default: return Total::Failed;
    }
}

// A waiting task was retained. A task that was retried at once has no due time: it has waited since its last attempt
// began, at the earliest.
void add_retain(const Transition &t) {
    const SlotNo queue = t.to_queue.slot;
    const TimestampTz since = Max(t.from->created_at, t.from->delayed_at);
    add_total_at_commit(queue, Total::Retained, 1);
    add_time_at_commit(queue, Time::Wait, t.to->started_at - Max(since, t.from->started_at));
}

void add_costs(SlotNo queue, const End &end) {
    const std::pair<RunCost, int64> all[] = {{RunCost::CpuMicros, end.costs.cpu_us},
                                             {RunCost::WalBytes, end.costs.wal_bytes},
                                             {RunCost::BlocksHit, end.costs.blocks_hit},
                                             {RunCost::BlocksRead, end.costs.blocks_read},
                                             {RunCost::BlocksDirtied, end.costs.blocks_dirtied},
                                             {RunCost::TempBytes, end.costs.temp_bytes},
                                             {RunCost::Rows, end.row_count}};
    for (const auto &[cost, amount] : all)
        if (amount > 0) handover::add_cost_at_commit(queue, cost, amount);
}

// An attempt has ended. A lost one has no end of its own, and one that was snoozed has not done its work.
void add_attempt(const Transition &t) {
    const SlotNo queue = t.from_queue.slot;
    add_costs(queue, *t.end);
    if (t.end->outcome == AttemptEnd::Lost)
        add_total_at_commit(queue, Total::Rescued, 1);
    else if (t.end->outcome == AttemptEnd::Failed && t.end->status == Status::Retry)
        add_total_at_commit(queue, Total::Retried, 1);
    if (t.end->outcome != AttemptEnd::Lost && t.end->outcome != AttemptEnd::Snoozed)
        add_time_at_commit(queue, Time::Run, t.at - t.from->started_at);
}

}  // namespace

void add_created_to_statistics(const QueueRef &queue, int32 count, int64 bytes) {
    add_total_at_commit(queue.slot, Total::CreatedBytes, bytes);
    add_total_at_commit(queue.slot, Total::Created, count);
}

void add_to_statistics(const Transition &t) {
    const SlotNo from = t.from_queue.slot, to = t.to_queue.slot;
    const bool was_unfinished = is_unfinished(t.from->status);
    // A row that is deleted with its end has the status of that end.
    const bool vanishes = t.to == nullptr && t.end == nullptr;
    const Status status = t.to != nullptr ? t.to->status : t.end != nullptr ? t.end->status : t.from->status;
    const bool ends = was_unfinished && !vanishes && !is_unfinished(status);
    if (from >= 0 && t.from->status == Status::Retained && t.end != nullptr) add_attempt(t);
    if (from >= 0 && ends) {
        add_total_at_commit(from, total_of_end(status), 1);
        add_time_at_commit(from, Time::Whole, t.at - t.from->created_at);
        if (status == Status::Failed && from != to) add_total_at_commit(from, Total::DeadLettered, 1);
        return;
    }
    if (to >= 0 && status == Status::Retained && t.from->status != Status::Retained) add_retain(t);
    const bool moved = was_unfinished && !vanishes && from != to;
    if (from >= 0 && was_unfinished && (vanishes || moved)) add_total_at_commit(from, Total::Left, 1);
    if (to >= 0 && (moved || (!was_unfinished && !vanishes && is_unfinished(status))))
        add_total_at_commit(to, Total::Arrived, 1);
}

}  // namespace pgqueue::task
