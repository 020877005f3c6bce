// C++ functions for the SQL of tickers (sql/51 to 53): slots, and what they produce in the caller's transaction.
#include "api/call.hpp"

#include "memory/registry.hpp"
#include "signal/ticker_posts.hpp"
#include "task/fire_ticker.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

TimestampTz time_arg(FunctionCallInfo fcinfo, int i, TimestampTz none = 0) {
    return PG_ARGISNULL(i) ? none : PG_GETARG_TIMESTAMPTZ(i);
}

// Slots due before this time count as missed.
TimestampTz served_since() {
    memory::SlotNo db = memory::find_database(MyDatabaseId);
    return db < 0 ? 0 : signal::tickers_since(db);
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_next_slot) {
    store::Ticker t{};
    t.period = PG_ARGISNULL(0) ? nullptr : PG_GETARG_INTERVAL_P(0);
    t.cron = text_arg(fcinfo, 1);
    t.time_zone = text_arg(fcinfo, 2);
    t.anchor = time_arg(fcinfo, 3);
    t.starts_at = time_arg(fcinfo, 4, DT_NOBEGIN);
    t.ends_at = time_arg(fcinfo, 5, DT_NOEND);
    TimestampTz slot = t.period == nullptr && t.cron == nullptr ? 0 : task::next_slot(t, time_arg(fcinfo, 6));
    if (slot == 0) PG_RETURN_NULL();
    PG_RETURN_TIMESTAMPTZ(slot);
}

PGQ_FUNCTION(pgqueue_internal_due_of_slot) {
    if (PG_ARGISNULL(1)) PG_RETURN_NULL();
    PG_RETURN_TIMESTAMPTZ(task::due_of_slot(PG_GETARG_INT32(0), PG_GETARG_TIMESTAMPTZ(1),
                                            PG_ARGISNULL(2) ? 0 : micros_of(PG_GETARG_INTERVAL_P(2))));
}

PGQ_FUNCTION(pgqueue_internal_fire) {
    store::Ticker t;
    if (!store::lock_ticker(PG_GETARG_INT32(0), &t)) PG_RETURN_NULL();
    int64 id = task::fire(&t, time_arg(fcinfo, 1, task::no_slot), GetCurrentTimestamp());
    if (id == 0) PG_RETURN_NULL();
    PG_RETURN_INT64(id);
}

PGQ_FUNCTION(pgqueue_internal_take_tick) {
    store::Ticker t;
    TimestampTz now = GetCurrentTimestamp();
    // If all due slots of a ticker are missed, it continues with a later one. A ticker that changed during the search
    // is searched again.
    while (store::lock_due_tick(PG_GETARG_INT32(0), now, &t)) {
        CHECK_FOR_INTERRUPTS();
        if (t.queue != nullptr || t.paused || t.next_at == 0 || t.next_at > now) continue;
        if (task::hand_out(&t, now, served_since())) PG_RETURN_INT32(t.id);
    }
    PG_RETURN_NULL();
}
