// Statistics for views queue_stat, type_stat and worker_stat, and their reset.
#include "api/call.hpp"

#include "api/longest_wait.hpp"
#include "api/seen_statistics.hpp"
#include "dispatch/waiters.hpp"
#include "handover/statistics.hpp"
#include "memory/registry.hpp"
#include "stats/named.hpp"
#include "store/slow_runs.hpp"
#include "task/where.hpp"

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
    void add_text(const char *s) { s != nullptr ? add(CStringGetTextDatum(s)) : add_null(); }
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
    const int64 created = q.numbers.total(Total::Created);
    int64 rows = 0;
    for (int k = 0; k < status_count; k++) rows += q.count(static_cast<Status>(k));
    if (created > 0 && rows >= 0) {
        const double mean = static_cast<double>(q.numbers.total(Total::CreatedBytes)) / static_cast<double>(created);
        row->add_count(static_cast<int64>(mean * static_cast<double>(rows)));
    } else if (rows == 0) {
        row->add_count(0);
    } else {
        row->add_null();
    }
}

void add_times(Row *row, const SeenNumbers &n, Time kind, histogram::Times *times) {
    n.copy_times(kind, times);
    for (double quantile : {0.5, 0.9, 0.99}) {
        const double us = histogram::quantile(times->counts, quantile, times->longest);
        row->add_seconds(us < 0 ? -1 : us / USECS_PER_SEC);
    }
    const bool any = histogram::total(times->counts) > 0;
    row->add_seconds(any ? static_cast<double>(times->longest) / USECS_PER_SEC : -1);
}

double seconds(int64 us) { return static_cast<double>(us) / USECS_PER_SEC; }

void add_costs(Row *row, const SeenNumbers &n) {
    row->add_seconds(seconds(n.cost(RunCost::CpuMicros)));
    for (RunCost kind : {RunCost::WalBytes, RunCost::BlocksHit, RunCost::BlocksRead, RunCost::TempBytes})
        row->add_count(n.cost(kind));
    row->add(TimestampTzGetDatum(n.since()));
    row->add(TimestampTzGetDatum(n.as_of));
}

// Tasks that were retained and how their attempts ended.
void add_attempts(Row *row, const SeenNumbers &n) {
    for (Total kind : {Total::Retained, Total::Released, Total::Failed, Total::Retried}) row->add_count(n.total(kind));
}

void put_queue(const ReturnSetInfo *info, const SeenQueue &q, histogram::Times *times) {
    Row row(info);
    row.add_int(q.id);
    add_waiting(&row, q);
    for (int k = 0; k <= static_cast<int>(Total::Limited); k++) row.add_count(q.numbers.total(static_cast<Total>(k)));
    add_bytes(&row, q);
    for (Time kind : {Time::Wait, Time::Run, Time::Whole}) add_times(&row, q.numbers, kind, times);
    add_costs(&row, q.numbers);
    row.put(info);
}

histogram::Times *room_for_times() { return static_cast<histogram::Times *>(palloc(sizeof(histogram::Times))); }

}  // namespace

PGQ_FUNCTION(pgqueue_internal_queue_statistics) {
    InitMaterializedSRF(fcinfo, 0);
    const auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    histogram::Times *times = room_for_times();
    for (const SeenQueue &q : seen_queues()) put_queue(info, q, times);
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_internal_type_statistics) {
    InitMaterializedSRF(fcinfo, 0);
    const auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    histogram::Times *times = room_for_times();
    for (const SeenNamed &t : seen_types()) {
        Row row(info);
        row.add_text(t.namespace_name);
        row.add_text(t.queue);
        row.add_text(t.name);
        add_attempts(&row, t.numbers);
        for (Time kind : {Time::Wait, Time::Run}) add_times(&row, t.numbers, kind, times);
        add_costs(&row, t.numbers);
        row.put(info);
    }
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_internal_role_statistics) {
    InitMaterializedSRF(fcinfo, 0);
    const auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for (const SeenNamed &r : seen_roles()) {
        Row row(info);
        row.add(ObjectIdGetDatum(r.role));
        row.add_text(r.namespace_name);
        add_attempts(&row, r.numbers);
        row.add_seconds(seconds(r.numbers.cost(RunCost::RunMicros)));
        add_costs(&row, r.numbers);
        row.put(info);
    }
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
        for (int k = 0; k < total_kinds; k++) all.totals[k] = q.numbers.total(static_cast<Total>(k));
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

namespace {

// Resets a type in a queue. Returns false if it has no statistics there.
bool reset_type(memory::SlotNo queue, const char *type) {
    const memory::StatNo no = stats::find_named(StatKind::Type, queue, hash_of_type(type));
    if (no < 0) return false;
    handover::reset_at_commit(no);
    return true;
}

void reset_queue(memory::SlotNo queue) {
    handover::reset_at_commit(queue);
    handover::reset_at_commit(memory::others_of(queue));
    stats::each_named(StatKind::Type, [queue](memory::StatNo no) {
        if (stats::queue_of(no) == queue) handover::reset_at_commit(no);
    });
}

// Calls f for each queue of a namespace.
template <typename F>
void each_queue_of(memory::SlotNo ns, F f) {
    memory::each_queue(memory::map.namespaces[ns].db, [ns, f](memory::SlotNo q) {
        if (memory::map.queues[q].ns == ns && !memory::is_dropped(memory::map.queues[q])) f(q);
    });
}

void reset_namespace(memory::SlotNo ns) {
    each_queue_of(ns, reset_queue);
    stats::each_named(StatKind::Role, [ns](memory::StatNo no) {
        if (stats::namespace_of(no) == ns) handover::reset_at_commit(no);
    });
}

}  // namespace

PGQ_FUNCTION(pgqueue_reset_stats) {
    check_call("reset_stats", true);
    const char *queue = text_arg(fcinfo, 0), *type = text_arg(fcinfo, 1);
    const store::NamespaceInfo &ns = find_namespace(text_arg(fcinfo, 2));
    require(ns, store::priv_manage);
    const memory::SlotNo db = task::ensure_my_database();
    if (db < 0) PG_RETURN_VOID();
    const memory::SlotNo of = memory::ensure_namespace(db, ns.id);
    const memory::SlotNo only = queue != nullptr ? task::ensure_entry(find_queue(ns, queue)) : -1;
    store::forget_slow_runs(ns.id, only >= 0 ? memory::map.queues[only].queue_id : 0, type);
    bool found = false;
    if (type != nullptr && only >= 0)
        found = reset_type(only, type);
    else if (type != nullptr)
        each_queue_of(of, [&found, type](memory::SlotNo q) { found = reset_type(q, type) || found; });
    else if (only >= 0)
        reset_queue(only);
    else
        reset_namespace(of);
    if (type != nullptr && !found)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("type \"%s\" has no statistics", type),
                errhint("SELECT namespace, queue, type FROM pgqueue.type_stat;"));
    PG_RETURN_VOID();
}
