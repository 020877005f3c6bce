#include "api/metrics.hpp"

#include "api/longest_wait.hpp"
#include "api/seen_statistics.hpp"
#include "core/status.hpp"
#include "dispatch/waiters.hpp"
#include "store/statement.hpp"

namespace pgqueue::api {
namespace {

using Queues = std::span<const SeenQueue>;

std::array<Label, 2> labels_of(const SeenQueue &q) {
    return {Label{"namespace", q.namespace_name}, Label{"queue", q.name}};
}

// A family with one sample for each queue; value(queue) below 0: none.
template <typename F>
void each_queue_of(MetricSink *sink, Queues seen, const Family &family, F value) {
    sink->begin(family);
    for (const SeenQueue &q : seen)
        if (const double v = value(q); v >= 0) sink->sample("", labels_of(q), v);
}

// The gauge of the service that pgqueue replaces.
void put_tasks(MetricSink *sink, Queues seen) {
    sink->begin({"queue_tasks", MetricType::Gauge, "Number of tasks in each queue by status"});
    for (const SeenQueue &q : seen)
        for (int s = 0; s < status_count && q.slot >= 0; s++) {
            const Label labels[] = {labels_of(q)[0], labels_of(q)[1], {"status", status_words[static_cast<Size>(s)]}};
            sink->sample("", labels, static_cast<double>(q.count(static_cast<Status>(s))));
        }
}

void put_gauges(MetricSink *sink, Queues seen) {
    auto gauge = [&](const char *name, const char *help, auto value) {
        each_queue_of(sink, seen, {name, MetricType::Gauge, help},
                      [value](const SeenQueue &q) { return q.slot >= 0 ? static_cast<double>(value(q)) : -1; });
    };
    gauge("pgqueue_queue_ready", "Tasks that could start now.", [](const SeenQueue &q) { return q.waiting.ready; });
    gauge("pgqueue_queue_delayed", "Tasks that wait for their time.",
          [](const SeenQueue &q) { return q.waiting.delayed; });
    gauge("pgqueue_queue_blocked", "Tasks that wait for a group, a dependency or a limit.",
          [](const SeenQueue &q) { return q.waiting.blocked; });
    gauge("pgqueue_queue_retained", "Tasks held by workers.",
          [](const SeenQueue &q) { return q.count(Status::Retained); });
    gauge("pgqueue_queue_waiters", "Processes that wait for a task.",
          [](const SeenQueue &q) { return dispatch::count_waiting(q.slot); });
    gauge("pgqueue_queue_oldest_ready_seconds", "Age of the oldest ready task.",
          [](const SeenQueue &q) { return oldest_ready_seconds(q.slot, q.waiting); });
}

void put_totals(MetricSink *sink, Queues seen) {
    struct Counter {
        Total kind;
        const char *name, *help;
    };
    static constexpr Counter counters[] = {
        {Total::Created, "pgqueue_tasks_created_total", "Tasks created."},
        {Total::Retained, "pgqueue_tasks_retained_total", "Tasks retained (attempts)."},
        {Total::Released, "pgqueue_tasks_released_total", "Tasks released."},
        {Total::Failed, "pgqueue_tasks_failed_total", "Tasks failed for good."},
        {Total::Retried, "pgqueue_tasks_retried_total", "Failed attempts that are tried again."},
        {Total::Expired, "pgqueue_tasks_expired_total", "Tasks expired."},
        {Total::Cancelled, "pgqueue_tasks_cancelled_total", "Tasks cancelled."},
        {Total::Rescued, "pgqueue_tasks_rescued_total", "Tasks taken back from a lost lease."},
        {Total::DeadLettered, "pgqueue_tasks_dead_lettered_total", "Tasks moved to a dead-letter queue."},
        {Total::Limited, "pgqueue_tasks_limited_total", "Starts put off by a limit."}};
    for (const Counter &c : counters)
        each_queue_of(sink, seen, {c.name, MetricType::Counter, c.help},
                      [&c](const SeenQueue &q) { return static_cast<double>(q.numbers.total(c.kind)); });
}

void put_costs(MetricSink *sink, Queues seen) {
    auto cost = [](const SeenQueue &q, RunCost kind) { return static_cast<double>(q.numbers.cost(kind)); };
    each_queue_of(sink, seen, {"pgqueue_cpu_seconds_total", MetricType::Counter, "CPU time of runs in the server."},
                  [cost](const SeenQueue &q) { return cost(q, RunCost::CpuMicros) / USECS_PER_SEC; });
    each_queue_of(sink, seen, {"pgqueue_wal_bytes_total", MetricType::Counter, "WAL written by runs in the server."},
                  [cost](const SeenQueue &q) { return cost(q, RunCost::WalBytes); });
}

// The bounds of Prometheus' buckets: powers of four in microseconds, from 256 us to 71 minutes. They are bounds of our
// buckets, so the sums are exact.
struct Bound {
    int64 us;
    const char *le;
};
constexpr Bound bounds[] = {
    {int64{1} << 8, "0.000256"},    {int64{1} << 10, "0.001024"},   {int64{1} << 12, "0.004096"},
    {int64{1} << 14, "0.016384"},   {int64{1} << 16, "0.065536"},   {int64{1} << 18, "0.262144"},
    {int64{1} << 20, "1.048576"},   {int64{1} << 22, "4.194304"},   {int64{1} << 24, "16.777216"},
    {int64{1} << 26, "67.108864"},  {int64{1} << 28, "268.435456"}, {int64{1} << 30, "1073.741824"},
    {int64{1} << 32, "4294.967296"}};

void put_times(MetricSink *sink, Queues seen, Time kind, const Family &family) {
    sink->begin(family);
    auto *times = static_cast<histogram::Times *>(palloc(sizeof(histogram::Times)));
    for (const SeenQueue &q : seen) {
        q.numbers.copy_times(kind, times);
        const std::array<Label, 2> names = labels_of(q);
        Label labels[] = {names[0], names[1], {"le", "+Inf"}};
        // Summed once, bucket by bucket, from one copy: the series only grows with its bounds.
        int64 sum = 0;
        int b = 0;
        for (const Bound &bound : bounds) {
            for (; b < histogram::bucket_count && histogram::upper(b) <= bound.us; b++)
                sum = histogram::sum_of(sum, times->counts[b]);
            labels[2].value = bound.le;
            sink->sample("_bucket", labels, static_cast<double>(sum));
        }
        for (; b < histogram::bucket_count; b++) sum = histogram::sum_of(sum, times->counts[b]);
        labels[2].value = "+Inf";
        sink->sample("_bucket", labels, static_cast<double>(sum));
        sink->sample("_sum", names, static_cast<double>(times->sum) / USECS_PER_SEC);
        sink->sample("_count", names, static_cast<double>(sum));
    }
    pfree(times);
}

// A family with the rows of a statement: two labels and a number. It runs with the rights of the caller.
void put_rows(MetricSink *sink, const Family &family, const char *first, const char *second,
              store::Statement *statement) {
    sink->begin(family);
    struct Into {
        MetricSink *sink;
        const char *first, *second;
    } into{sink, first, second};
    store::run_as_self(
        statement, nullptr, nullptr,
        [](void *arg, const store::ResultRow &row) {
            auto *i = static_cast<Into *>(arg);
            bool null;
            char *values[2];
            for (int c = 0; c < 2; c++) {
                const Datum d = row.get(c + 1, &null);
                values[c] = null ? pstrdup("") : TextDatumGetCString(d);
            }
            const Label labels[] = {{i->first, values[0]}, {i->second, values[1]}};
            i->sink->sample("", labels, static_cast<double>(DatumGetInt64(row.get(3, &null))));
        },
        &into);
}

}  // namespace

void all_metrics(MetricSink *sink) {
    const Queues seen = seen_queues();
    put_tasks(sink, seen);
    put_gauges(sink, seen);
    put_totals(sink, seen);
    put_times(sink, seen, Time::Wait,
              {"pgqueue_task_wait_seconds", MetricType::Histogram,
               "Time from the creation or the due time of tasks to their start."});
    put_times(sink, seen, Time::Run, {"pgqueue_task_run_seconds", MetricType::Histogram, "Time of attempts."});
    put_costs(sink, seen);
    static constinit store::Statement workers{
        "SELECT role, state, pg_catalog.count(*) FROM pgqueue.worker WHERE kind OPERATOR(pg_catalog.=) 'server' "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        0,
        {},
        nullptr,
        false,
        true};
    static constinit store::Statement health{
        "SELECT severity, problem, pg_catalog.count(*) FROM pgqueue.health GROUP BY 1, 2 ORDER BY 1, 2",
        0,
        {},
        nullptr,
        false,
        true};
    put_rows(sink, {"pgqueue_workers", MetricType::Gauge, "Worker processes of the server."}, "role", "state",
             &workers);
    put_rows(sink, {"pgqueue_health_problems", MetricType::Gauge, "Rows of view health."}, "severity", "problem",
             &health);
    sink->begin({"pgqueue_info", MetricType::Gauge, "Version of pgqueue."});
    const Label version[] = {{"version", PGQUEUE_VERSION}};
    sink->sample("", version, 1);
}

}  // namespace pgqueue::api
