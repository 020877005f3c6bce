// Statistics of queues, for view queue_stat.
#include "api/call.hpp"

#include "api/longest_wait.hpp"
#include "api/seen_queues.hpp"
#include "dispatch/waiters.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

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
    void add_null() {
        nulls[at] = true;
        add(Datum(0));
    }
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
    if (q.slot < 0) {
        for (int unknown = 0; unknown < 6; unknown++) row->add_null();
        return;
    }
    row->add_count(q.waiting.ready);
    row->add_count(q.waiting.delayed);
    row->add_count(q.waiting.blocked);
    row->add_count(q.count(Status::Retained));
    row->add_int(dispatch::count_waiting(q.slot));
    row->add_seconds(oldest_ready_seconds(q.slot, q.waiting));
}

// Adds the bytes of the queue's rows, as their number times the mean size of a created task; NULL if none was created
// since the reset.
void add_bytes(Row *row, const SeenQueue &q) {
    const int64 created = q.total(Total::Created);
    int64 rows = 0;
    for (int k = 0; k < status_count; k++) rows += q.count(static_cast<Status>(k));
    if (created > 0 && rows >= 0) {
        const double mean = static_cast<double>(q.total(Total::CreatedBytes)) / static_cast<double>(created);
        row->add_count(static_cast<int64>(mean * static_cast<double>(rows)));
    } else if (rows == 0) {
        row->add_count(0);
    } else {
        row->add_null();
    }
}

void add_times(Row *row, const SeenQueue &q, Time kind, histogram::Times *times) {
    q.copy_times(kind, times);
    for (double quantile : {0.5, 0.9, 0.99}) {
        const double us = histogram::quantile(times->counts, quantile, times->longest);
        row->add_seconds(us < 0 ? -1 : us / USECS_PER_SEC);
    }
    const bool any = histogram::total(times->counts) > 0;
    row->add_seconds(any ? static_cast<double>(times->longest) / USECS_PER_SEC : -1);
}

void put_queue(const ReturnSetInfo *info, const SeenQueue &q, histogram::Times *times) {
    Row row(info);
    row.add_int(q.id);
    add_waiting(&row, q);
    for (int k = 0; k <= static_cast<int>(Total::Limited); k++) row.add_count(q.total(static_cast<Total>(k)));
    add_bytes(&row, q);
    for (Time kind : {Time::Wait, Time::Run, Time::Whole}) add_times(&row, q, kind, times);
    row.add_seconds(static_cast<double>(q.cost(RunCost::CpuMicros)) / USECS_PER_SEC);
    for (RunCost kind : {RunCost::WalBytes, RunCost::BlocksHit, RunCost::BlocksRead, RunCost::TempBytes})
        row.add_count(q.cost(kind));
    row.add(TimestampTzGetDatum(q.since()));
    row.add(TimestampTzGetDatum(q.as_of));
    row.put(info);
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_queue_statistics) {
    InitMaterializedSRF(fcinfo, 0);
    const auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    auto *times = static_cast<histogram::Times *>(palloc(sizeof(histogram::Times)));
    for (const SeenQueue &q : seen_queues()) put_queue(info, q, times);
    return Datum(0);
}

// The queues whose totals do not account for their unfinished tasks. After a crash, what was done since the totals were
// saved is missing in them. Beside open transactions, they may differ for a moment.
PGQ_FUNCTION(pgqueue_internal_reconcile_statistics) {
    InitMaterializedSRF(fcinfo, 0);
    const auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for (const SeenQueue &q : seen_queues()) {
        if (q.slot < 0) continue;
        Statistics all{};
        for (int k = 0; k < total_kinds; k++) all.totals[k] = q.total(static_cast<Total>(k));
        const int64 unfinished = q.count(Status::New) + q.count(Status::Retry) + q.count(Status::Retained);
        if (unfinished == all.unfinished()) continue;
        Row row(info);
        row.add(CStringGetTextDatum(q.namespace_name));
        row.add(CStringGetTextDatum(q.name));
        row.add_count(unfinished);
        row.add_count(all.unfinished());
        row.put(info);
    }
    return Datum(0);
}
