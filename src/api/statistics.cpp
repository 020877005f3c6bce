// Statistics of queues, for view queue_stat.
#include "api/call.hpp"

#include "api/longest_wait.hpp"
#include "api/seen_queues.hpp"
#include "dispatch/waiters.hpp"
#include "stats/totals.hpp"

using namespace pgqueue;
using namespace pgqueue::api;
using memory::RunCost;
using memory::SlotNo;
using memory::Time;
using memory::Total;

namespace {

// The row of a result, filled column by column.
class Row {
public:
    explicit Row(const ReturnSetInfo *info) : natts(info->setDesc->natts) {
        values = static_cast<Datum *>(palloc0(sizeof(Datum) * static_cast<Size>(natts)));
        nulls = static_cast<bool *>(palloc0(sizeof(bool) * static_cast<Size>(natts)));
    }
    void add(Datum d) { values[at++] = d; }
    void add_int(int32 n) { add(Int32GetDatum(n)); }
    void add_count(int64 n) { add(Int64GetDatum(n)); }
    void add_null() { nulls[at++] = true; }
    // Below 0: NULL.
    void add_seconds(double s) {
        nulls[at] = s < 0;
        add(Float8GetDatum(s));
    }
    void put(const ReturnSetInfo *info) const {
        Assert(at == natts);
        tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
        pfree(values);
        pfree(nulls);
    }

private:
    int natts, at = 0;
    Datum *values;
    bool *nulls;
};

// Adds how many tasks of the queue are ready, wait for their time, or are blocked, and for how long the first of the
// ready ones has waited.
void add_waiting(Row *row, const SeenQueue &q) {
    row->add_count(q.waiting.ready);
    row->add_count(q.waiting.delayed);
    row->add_count(q.waiting.blocked);
    row->add_count(memory::map.queues[q.slot].counts[static_cast<int>(Status::Retained)].load());
    row->add_int(dispatch::count_waiting(q.slot));
    row->add_seconds(oldest_ready_seconds(q.slot, q.waiting));
}

// Adds the bytes of the queue's rows, as their number times the mean size of a created task; NULL if none was created
// since the reset.
void add_bytes(Row *row, const memory::Queue &q, const memory::Statistics &s) {
    const int64 created = s.totals[static_cast<int>(Total::Created)].load();
    int64 rows = 0;
    for (int k = 0; k < status_count; k++) rows += q.counts[k].load();
    if (created > 0) {
        const double mean = static_cast<double>(s.totals[static_cast<int>(Total::CreatedBytes)].load()) / created;
        row->add_count(static_cast<int64>(mean * rows));
    } else if (rows == 0) {
        row->add_count(0);
    } else {
        row->add_null();
    }
}

void add_times(Row *row, SlotNo no, Time kind, stats::TimesCopy *times) {
    stats::copy_times(no, kind, times);
    for (double q : {0.5, 0.9, 0.99}) row->add_seconds(times->quantile(q));
    const bool any = histogram::total(times->counts) > 0;
    row->add_seconds(any ? static_cast<double>(times->longest) / USECS_PER_SEC : -1);
}

void put_queue(const ReturnSetInfo *info, const SeenQueue &q, stats::TimesCopy *times) {
    const memory::Statistics &s = memory::map.statistics[q.slot];
    Row row(info);
    row.add_int(q.id);
    add_waiting(&row, q);
    for (int k = 0; k <= static_cast<int>(Total::Limited); k++) row.add_count(s.totals[k].load());
    add_bytes(&row, memory::map.queues[q.slot], s);
    for (Time kind : {Time::Wait, Time::Run, Time::Whole}) add_times(&row, q.slot, kind, times);
    auto cost = [&s](RunCost kind) { return s.costs[static_cast<int>(kind)].load(); };
    row.add_seconds(static_cast<double>(cost(RunCost::CpuMicros)) / USECS_PER_SEC);
    for (RunCost kind : {RunCost::WalBytes, RunCost::BlocksHit, RunCost::BlocksRead, RunCost::TempBytes})
        row.add_count(cost(kind));
    row.add(TimestampTzGetDatum(s.since.load()));
    row.put(info);
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_queue_statistics) {
    InitMaterializedSRF(fcinfo, 0);
    const auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    auto *times = static_cast<stats::TimesCopy *>(palloc(sizeof(stats::TimesCopy)));
    for (const SeenQueue &q : seen_queues()) put_queue(info, q, times);
    return Datum(0);
}
