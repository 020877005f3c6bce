#include "store/tickers.hpp"

#include "core/names.hpp"
#include "store/statement.hpp"

namespace pgqueue::store {
namespace {

#define PGQ_EQ " OPERATOR(pg_catalog.=) "
#define PGQ_COLUMN(n) "pg_catalog.unnest($" n ")"

#define PGQ_TICKER_COLUMNS                                                                                             \
    "SELECT t.id, t.namespace_id, t.name, t.queue, t.period, t.cron, t.time_zone, t.payload, t.type, t.command, "      \
    "t.priority, t.retries, t.ttl, "                                                                                   \
    "t.run_limit, t.misfire, t.misfire_max, t.overlap, t.jitter, t.starts_at, t.ends_at, t.anchor, t.paused, t.role, " \
    "t.role_name, s.next_at, "                                                                                         \
    "s.due_at, s.last_at, s.last_task, s.prior_task, s.runs, s.resumed_at, s.ahead_until "                             \
    "FROM pgqueue_internal.ticker_state s JOIN pgqueue_internal.ticker t ON t.id" PGQ_EQ "s.ticker_id "

// Each line of SQL is a line of C++.
// clang-format off
constinit Statement all_due{
    "SELECT t.id, t.namespace_id, s.due_at "
    "FROM pgqueue_internal.ticker_state s JOIN pgqueue_internal.ticker t ON t.id" PGQ_EQ "s.ticker_id",
    0, {}, nullptr};
constinit Statement due_of{
    "SELECT i, t.namespace_id, s.due_at FROM pg_catalog.unnest($1) i "
    "LEFT JOIN pgqueue_internal.ticker_state s ON s.ticker_id" PGQ_EQ "i "
    "LEFT JOIN pgqueue_internal.ticker t ON t.id" PGQ_EQ "i",
    1, {INT4ARRAYOID}, nullptr};
// A definition is read after its state was locked, by a later snapshot, so the two belong together.
constinit Statement lock_many{
    "SELECT ticker_id FROM pgqueue_internal.ticker_state "
    "WHERE ticker_id" PGQ_EQ "ANY ($1) FOR NO KEY UPDATE SKIP LOCKED",
    1, {INT4ARRAYOID}, nullptr};
constinit Statement lock_one{
    "SELECT ticker_id FROM pgqueue_internal.ticker_state WHERE ticker_id" PGQ_EQ "$1 FOR NO KEY UPDATE",
    1, {INT4OID}, nullptr};
constinit Statement lock_tick{
    "SELECT s.ticker_id "
    "FROM pgqueue_internal.ticker_state s JOIN pgqueue_internal.ticker t ON t.id" PGQ_EQ "s.ticker_id "
    "WHERE t.namespace_id" PGQ_EQ "$1 AND t.queue IS NULL AND NOT t.paused "
    "AND pgqueue_internal.due_of_slot(t.id, s.next_at, t.jitter) OPERATOR(pg_catalog.<=) $2 "
    "ORDER BY s.next_at, t.id LIMIT 1 FOR NO KEY UPDATE OF s SKIP LOCKED",
    2, {INT4OID, TIMESTAMPTZOID}, nullptr};
constinit Statement read_many{PGQ_TICKER_COLUMNS "WHERE s.ticker_id" PGQ_EQ "ANY ($1)", 1, {INT4ARRAYOID}, nullptr};
constinit Statement state_write{
    "UPDATE pgqueue_internal.ticker_state s "
    "SET next_at = u.next_at, due_at = u.due_at, last_at = u.last_at, last_task = u.last_task, "
    "prior_task = u.prior_task, runs = u.runs, ahead_until = u.ahead_until "
    "FROM ROWS FROM (" PGQ_COLUMN("1") ", " PGQ_COLUMN("2") ", " PGQ_COLUMN("3") ", " PGQ_COLUMN("4") ", "
    PGQ_COLUMN("5") ", " PGQ_COLUMN("6") ", " PGQ_COLUMN("7") ", " PGQ_COLUMN("8")
    ") u (id, next_at, due_at, last_at, last_task, prior_task, runs, ahead_until) WHERE s.ticker_id" PGQ_EQ "u.id",
    8, {INT4ARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
        INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID}, nullptr};
constinit Statement run_write{
    "INSERT INTO pgqueue_internal.ticker_run (ticker_id, place, slot, fired_at, outcome, task_id, error) "
    "SELECT * FROM ROWS FROM (" PGQ_COLUMN("1") ", " PGQ_COLUMN("2") ", " PGQ_COLUMN("3") ", " PGQ_COLUMN("4") ", "
    PGQ_COLUMN("5") ", " PGQ_COLUMN("6") ", " PGQ_COLUMN("7") ") r "
    "ON CONFLICT (ticker_id, place) DO UPDATE SET slot = excluded.slot, fired_at = excluded.fired_at, "
    "outcome = excluded.outcome, task_id = excluded.task_id, error = excluded.error",
    7, {INT4ARRAYOID, INT2ARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID, INT2ARRAYOID, INT8ARRAYOID,
        TEXTARRAYOID}, nullptr};
constinit Statement fired{
    "SELECT task_id FROM pgqueue_internal.ticker_run "
    "WHERE ticker_id" PGQ_EQ "$1 AND slot" PGQ_EQ "$2 AND outcome" PGQ_EQ "0 LIMIT 1",
    2, {INT4OID, TIMESTAMPTZOID}, nullptr};
// clang-format on

// Reads the columns of a row in their order.
struct Columns {
    const ResultRow &row;
    int at = 0;
    bool null = false;

    Datum next() { return row.get(++at, &null); }
    int32 int4(int32 none) {
        Datum d = next();
        return null ? none : DatumGetInt32(d);
    }
    int64 int8() {
        Datum d = next();
        return null ? 0 : DatumGetInt64(d);
    }
    TimestampTz time(TimestampTz none = 0) {
        Datum d = next();
        return null ? none : DatumGetTimestampTz(d);
    }
    text *words() {
        Datum d = next();
        return null ? nullptr : DatumGetTextPCopy(d);
    }
    const char *string() {
        text *t = words();
        return t == nullptr ? nullptr : text_to_cstring(t);
    }
    Interval *interval() {
        Datum d = next();
        return null ? nullptr : DatumGetIntervalP(datumCopy(d, false, sizeof(Interval)));
    }
    int64 micros() {
        Interval *i = interval();
        if (i == nullptr) return -1;
        return i->time + (i->month * int64(DAYS_PER_MONTH) + i->day) * USECS_PER_DAY;
    }
};

Misfire misfire_of(std::string_view word) {
    return word == "skip" ? Misfire::Skip : word == "all" ? Misfire::All : Misfire::One;
}
Overlap overlap_of(std::string_view word) {
    return word == "skip" ? Overlap::Skip : word == "queue" ? Overlap::Queue : Overlap::Allow;
}

Ticker read_ticker(const ResultRow &row) {
    Columns c{row};
    Ticker t{};
    t.id = c.int4(0);
    t.ns_id = c.int4(0);
    t.name = c.words();
    t.queue = c.string();
    t.period = c.interval();
    t.cron = c.string();
    t.time_zone = c.string();
    Datum payload = c.next();
    t.payload = DatumGetJsonbPCopy(payload);
    t.type = c.words();
    t.command = c.words();
    t.priority = c.int4(0);
    t.has_priority = !c.null;
    t.retries = c.int4(-1);
    t.ttl = c.micros();
    t.run_limit = c.micros();
    t.misfire = misfire_of(c.string());
    t.misfire_max = c.int4(0);
    t.overlap = overlap_of(c.string());
    int64 jitter = c.micros();
    t.jitter = jitter > 0 ? jitter : 0;
    t.starts_at = c.time(DT_NOBEGIN);
    t.ends_at = c.time(DT_NOEND);
    t.anchor = c.time();
    t.paused = DatumGetBool(c.next());
    t.role = DatumGetObjectId(c.next());
    t.role_name = c.string();
    t.next_at = c.time();
    t.due_at = c.time();
    t.last_at = c.time();
    t.last_task = c.int8();
    t.prior_task = c.int8();
    t.runs = c.int8();
    t.resumed_at = c.time();
    t.ahead_until = c.time();
    return t;
}

// One column of many rows as an array.
struct ArrayBuilder {
    Datum *items;
    bool *nulls;
    int n = 0;

    explicit ArrayBuilder(std::size_t room)
        : items(static_cast<Datum *>(palloc(sizeof(Datum) * room))), nulls(static_cast<bool *>(palloc(room))) {}
    void add(Datum value, bool null) {
        items[n] = value;
        nulls[n++] = null;
    }
    void add_int8(int64 value) { add(Int64GetDatum(value), value == 0); }
    Datum done(Oid type, int16 length, bool by_value, char align) {
        int dims[1] = {n}, lower[1] = {1};
        return PointerGetDatum(construct_md_array(items, nulls, 1, dims, lower, type, length, by_value, align));
    }
    Datum int4s() { return done(INT4OID, 4, true, TYPALIGN_INT); }
    Datum int2s() { return done(INT2OID, 2, true, TYPALIGN_SHORT); }
    Datum int8s() { return done(INT8OID, 8, true, TYPALIGN_DOUBLE); }
    Datum times() { return done(TIMESTAMPTZOID, 8, true, TYPALIGN_DOUBLE); }
    Datum texts() { return done(TEXTOID, -1, false, TYPALIGN_INT); }
};

Datum array_of(std::span<const int32> ids) {
    ArrayBuilder a(ids.size() + 1);
    for (int32 id : ids) a.add(Int32GetDatum(id), false);
    return a.int4s();
}

// Locks tickers by the statement, whose rows are ids, and reads the locked ones. Returns how many.
int lock_and_read(Statement *lock, const Datum *values, std::size_t most, Ticker *out) {
    auto *ids = static_cast<int32 *>(palloc(sizeof(int32) * most));
    std::size_t n = 0;
    each_row(lock, values, [ids, &n](const ResultRow &row) { ids[n++] = Columns{row}.int4(0); });
    if (n == 0) return 0;
    Datum locked[] = {array_of({ids, n})};
    int read = 0;
    each_row(&read_many, locked, [out, &read](const ResultRow &row) { out[read++] = read_ticker(row); });
    return read;
}

}  // namespace

namespace {

TickerDue due_from(const ResultRow &row) {
    Columns c{row};
    TickerDue t{};
    t.id = c.int4(0);
    t.ns_id = c.int4(0);
    t.due = c.time();
    return t;
}

}  // namespace

void each_due(void (*fn)(const TickerDue &)) {
    each_row(&all_due, nullptr, [fn](const ResultRow &row) { fn(due_from(row)); });
}

void each_due_of(std::span<const int32> ids, void (*fn)(const TickerDue &)) {
    Datum values[] = {array_of(ids)};
    each_row(&due_of, values, [fn](const ResultRow &row) { fn(due_from(row)); });
}

int lock_tickers(std::span<const int32> ids, Ticker *out) {
    Datum values[] = {array_of(ids)};
    return lock_and_read(&lock_many, values, ids.size(), out);
}

bool lock_ticker(int32 id, Ticker *out) {
    Datum values[] = {Int32GetDatum(id)};
    return lock_and_read(&lock_one, values, 1, out) > 0;
}

bool lock_due_tick(int32 ns_id, TimestampTz now, Ticker *out) {
    Datum values[] = {Int32GetDatum(ns_id), TimestampTzGetDatum(now)};
    return lock_and_read(&lock_tick, values, 1, out) > 0;
}

void write_states(std::span<const Ticker> tickers) {
    std::size_t n = tickers.size();
    ArrayBuilder id(n), next(n), due(n), last(n), task(n), prior(n), runs(n), ahead(n);
    for (const Ticker &t : tickers) {
        id.add(Int32GetDatum(t.id), false);
        next.add_int8(t.next_at);
        due.add_int8(t.due_at);
        last.add_int8(t.last_at);
        task.add_int8(t.last_task);
        prior.add_int8(t.prior_task);
        runs.add(Int64GetDatum(t.runs), false);
        ahead.add_int8(t.ahead_until);
    }
    Datum values[] = {id.int4s(),   next.times(),  due.times(),  last.times(),
                      task.int8s(), prior.int8s(), runs.int8s(), ahead.times()};
    run_statement(&state_write, values);
}

void write_runs(std::span<const TickerRun> all) {
    std::size_t n = all.size();
    ArrayBuilder id(n), place(n), slot(n), at(n), outcome(n), task(n), error(n);
    for (const TickerRun &r : all) {
        id.add(Int32GetDatum(r.ticker_id), false);
        place.add(Int16GetDatum(static_cast<int16>(r.number % ticker_runs_kept)), false);
        slot.add(TimestampTzGetDatum(r.slot), false);
        at.add(TimestampTzGetDatum(r.fired_at), false);
        outcome.add(Int16GetDatum(static_cast<int16>(r.outcome)), false);
        task.add_int8(r.task_id);
        error.add(r.error == nullptr ? Datum(0) : CStringGetTextDatum(r.error), r.error == nullptr);
    }
    Datum values[] = {id.int4s(),      place.int2s(), slot.times(), at.times(),
                      outcome.int2s(), task.int8s(),  error.texts()};
    run_statement(&run_write, values);
}

bool has_fired(int32 ticker_id, TimestampTz slot, int64 *task_id) {
    Datum values[] = {Int32GetDatum(ticker_id), TimestampTzGetDatum(slot)};
    return each_row(&fired, values, [task_id](const ResultRow &row) {
               Columns c{row};
               *task_id = c.int8();
           }) > 0;
}

}  // namespace pgqueue::store
