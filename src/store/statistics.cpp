#include "store/statistics.hpp"

#include "core/packed_times.hpp"
#include "store/relations.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

#define PGQ_EQ " OPERATOR(pg_catalog.=) "
#define PGQ_SAVED                                                                                                \
    "SELECT kind, object_id, name, saved_at, since, totals, costs, times, minute_totals, minute_times, minute, " \
    "minute_counts, minute_quantiles FROM pgqueue_internal.stat "
#define PGQ_KEY " kind" PGQ_EQ "$1 AND object_id" PGQ_EQ "$2 AND name" PGQ_EQ "$3"
#define PGQ_TYPES                                                                                             \
    {                                                                                                         \
        INT2OID, INT4OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8ARRAYOID, INT8ARRAYOID, BYTEAARRAYOID, \
            INT8ARRAYOID, BYTEAARRAYOID, TIMESTAMPTZOID, INT8ARRAYOID, FLOAT8ARRAYOID                         \
    }

// clang-format off
constinit Statement read_all{PGQ_SAVED, 0, {}, nullptr};
constinit Statement read_some{
    PGQ_SAVED "WHERE kind OPERATOR(pg_catalog.<) 3 AND object_id" PGQ_EQ "ANY ($1) "
    "OR kind" PGQ_EQ "3 AND object_id" PGQ_EQ "ANY ($2) ORDER BY kind DESC",
    2, {INT4ARRAYOID, INT4ARRAYOID}, nullptr};
constinit Statement read_one{PGQ_SAVED "WHERE" PGQ_KEY, 3, {INT2OID, INT4OID, TEXTOID}, nullptr};
constinit Statement insert_one{
    "INSERT INTO pgqueue_internal.stat (kind, object_id, name, saved_at, since, totals, costs, times, minute_totals, "
    "minute_times, minute, minute_counts, minute_quantiles) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    13, PGQ_TYPES, nullptr};
constinit Statement update_one{
    "UPDATE pgqueue_internal.stat SET saved_at = $4, since = $5, totals = $6, costs = $7, times = $8, "
    "minute_totals = $9, minute_times = $10, minute = $11, minute_counts = $12, minute_quantiles = $13 WHERE" PGQ_KEY,
    13, PGQ_TYPES, nullptr};
constinit Statement remove_gone{
    "DELETE FROM pgqueue_internal.stat s WHERE NOT CASE kind WHEN 3 "
    "THEN EXISTS (SELECT FROM pgqueue_internal.namespace n WHERE n.id" PGQ_EQ "s.object_id) "
    "ELSE EXISTS (SELECT FROM pgqueue_internal.queue q WHERE q.id" PGQ_EQ "s.object_id) END", 0, {}, nullptr};
constinit Statement remove_slow_runs{
    "DELETE FROM pgqueue_internal.slow_run s WHERE NOT EXISTS (SELECT FROM pgqueue_internal.queue q WHERE q.id" PGQ_EQ
    "s.queue_id)", 0, {}, nullptr};
// clang-format on

struct Elements {
    Datum *values;
    int count;
};

Elements elements_of(Datum array, Oid type, int16 length, bool by_value, char alignment) {
    Elements e;
    bool *nulls;
    deconstruct_array(DatumGetArrayTypeP(array), type, length, by_value, alignment, &e.values, &nulls, &e.count);
    return e;
}

// A row written by an older version may have fewer numbers.
void read_numbers(Datum array, std::span<int64> numbers) {
    const Elements e = elements_of(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
    for (std::size_t i = 0; i < numbers.size(); i++)
        numbers[i] = static_cast<int>(i) < e.count ? DatumGetInt64(e.values[i]) : 0;
}

void read_times(Datum array, std::span<histogram::Times> times) {
    const Elements e = elements_of(array, BYTEAOID, -1, false, TYPALIGN_INT);
    for (std::size_t i = 0; i < times.size(); i++) {
        times[i] = {};
        if (static_cast<int>(i) >= e.count) continue;
        const auto *packed = DatumGetByteaPP(e.values[i]);
        (void)histogram::unpack(
            {reinterpret_cast<const uint8 *>(VARDATA_ANY(packed)), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(packed))},
            &times[i]);
    }
}

Datum array_of(std::span<const int64> numbers) {
    Datum values[total_kinds];
    int n = 0;
    for (int64 number : numbers) values[n++] = Int64GetDatum(number);
    return PointerGetDatum(construct_array(values, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum array_of(std::span<const double> numbers) {
    Datum values[total_kinds];
    int n = 0;
    for (double number : numbers) values[n++] = Float8GetDatum(number);
    return PointerGetDatum(construct_array(values, n, FLOAT8OID, sizeof(double), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum array_of(std::span<const histogram::Times> times) {
    Datum values[time_kinds];
    int n = 0;
    for (const histogram::Times &t : times) {
        auto *packed = static_cast<bytea *>(palloc(VARHDRSZ + histogram::most_packed_bytes));
        SET_VARSIZE(packed, VARHDRSZ + histogram::pack(t, reinterpret_cast<uint8 *>(VARDATA(packed))));
        values[n++] = PointerGetDatum(packed);
    }
    return PointerGetDatum(construct_array(values, n, BYTEAOID, -1, false, TYPALIGN_INT));
}

void read_minute(const ResultRow &row, StatMinute *minute) {
    bool null;
    minute->minute = DatumGetTimestampTz(row.get(11, &null));
    int64 counts[StatMinute::count_kinds + 2];
    read_numbers(row.get(12, &null), counts);
    memcpy(minute->counts, counts, sizeof(minute->counts));
    minute->depth = counts[StatMinute::count_kinds];
    minute->running = counts[StatMinute::count_kinds + 1];
    const Elements e = elements_of(row.get(13, &null), FLOAT8OID, sizeof(double), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
    double *quantiles[] = {&minute->wait_p50, &minute->wait_p99, &minute->run_p50, &minute->run_p99};
    for (int i = 0; i < 4; i++) *quantiles[i] = i < e.count ? DatumGetFloat8(e.values[i]) : -1;
}

void read(const ResultRow &row, SavedStatistics *saved) {
    bool null;
    *saved = {};
    saved->key = {static_cast<StatKind>(DatumGetInt16(row.get(1, &null))), DatumGetInt32(row.get(2, &null)),
                  TextDatumGetCString(row.get(3, &null))};
    saved->saved_at = DatumGetTimestampTz(row.get(4, &null));
    saved->now.since = saved->before.since = DatumGetTimestampTz(row.get(5, &null));
    read_numbers(row.get(6, &null), saved->now.totals);
    read_numbers(row.get(7, &null), saved->now.costs);
    read_times(row.get(8, &null), saved->now.times);
    if (saved->key.kind != StatKind::Queue) return;
    read_numbers(row.get(9, &null), saved->before.totals);
    read_times(row.get(10, &null), saved->before.times);
    read_minute(row, &saved->minute);
}

void run_for_each(Statement *statement, const Datum *values, void (*fn)(void *, const SavedStatistics &), void *arg) {
    struct To {
        void (*fn)(void *, const SavedStatistics &);
        void *arg;
        SavedStatistics *saved;
    } to{fn, arg, static_cast<SavedStatistics *>(palloc(sizeof(SavedStatistics)))};
    (void)run_statement(
        statement, values, nullptr,
        [](void *p, const ResultRow &row) {
            auto *t = static_cast<To *>(p);
            read(row, t->saved);
            t->fn(t->arg, *t->saved);
        },
        &to);
    pfree(to.saved);
}

}  // namespace

void each_saved_raw(void (*fn)(void *, const SavedStatistics &), void *arg) {
    run_for_each(&read_all, nullptr, fn, arg);
}

void each_saved_of_raw(const ArrayType *queue_ids, const ArrayType *namespace_ids,
                       void (*fn)(void *, const SavedStatistics &), void *arg) {
    const Datum values[] = {PointerGetDatum(queue_ids), PointerGetDatum(namespace_ids)};
    run_for_each(&read_some, values, fn, arg);
}

bool read_saved(const StatKey &key, SavedStatistics *saved) {
    const Datum values[] = {Int16GetDatum(static_cast<int16>(key.kind)), Int32GetDatum(key.object_id),
                            CStringGetTextDatum(key.name)};
    struct To {
        SavedStatistics *saved;
        bool found;
    } to{saved, false};
    run_for_each(
        &read_one, values,
        [](void *p, const SavedStatistics &s) {
            auto *t = static_cast<To *>(p);
            *t->saved = s;
            t->found = true;
        },
        &to);
    return to.found;
}

void write_saved(const SavedStatistics &saved, bool is_new) {
    const bool queue = saved.key.kind == StatKind::Queue;
    const StatMinute &m = saved.minute;
    int64 counts[StatMinute::count_kinds + 2];
    memcpy(counts, m.counts, sizeof(m.counts));
    counts[StatMinute::count_kinds] = m.depth;
    counts[StatMinute::count_kinds + 1] = m.running;
    const double quantiles[] = {m.wait_p50, m.wait_p99, m.run_p50, m.run_p99};
    // Only these times are needed for the quantiles of a minute.
    const std::span<const histogram::Times> wait_and_run(saved.before.times, 2);
    const Datum values[] = {Int16GetDatum(static_cast<int16>(saved.key.kind)),
                            Int32GetDatum(saved.key.object_id),
                            CStringGetTextDatum(saved.key.name),
                            TimestampTzGetDatum(saved.saved_at),
                            TimestampTzGetDatum(saved.now.since),
                            array_of(std::span<const int64>(saved.now.totals)),
                            array_of(std::span<const int64>(saved.now.costs)),
                            array_of(std::span<const histogram::Times>(saved.now.times)),
                            array_of(std::span<const int64>(saved.before.totals)),
                            array_of(wait_and_run),
                            TimestampTzGetDatum(m.minute),
                            array_of(std::span<const int64>(counts)),
                            array_of(std::span<const double>(quantiles))};
    (void)run_statement(is_new ? &insert_one : &update_one, values, queue ? nullptr : "        nnnnn", nullptr,
                        nullptr);
}

int64 remove_saved_of_nothing() {
    return static_cast<int64>(run_statement(&remove_gone, nullptr) + run_statement(&remove_slow_runs, nullptr));
}

bool lock_saving() {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, ring_oid(), 0, 8);
    return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

}  // namespace pgqueue::store
