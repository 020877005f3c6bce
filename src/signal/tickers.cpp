#include "signal/tickers.hpp"

namespace pgqueue::signal {

void post_ticker(SlotNo db, int32 id) {
    if (db < 0) return;
    Database &d = database(db);
    bool placed = false;
    for (uint32 i = 0; i < ticker_posts && !placed; i++) {
        pg_atomic_uint32 &place = d.tickers[(static_cast<uint32>(id) + i) % ticker_posts];
        uint32 empty = 0;
        placed = pg_atomic_compare_exchange_u32(&place, &empty, static_cast<uint32>(id)) || empty == static_cast<uint32>(id);
    }
    if (!placed) pg_atomic_write_u32(&d.all_tickers, 1);
    pg_memory_barrier();
    pg_atomic_write_u32(&d.any_ticker, 1);
}

int take_tickers(SlotNo db, int32 *ids, bool *all) {
    Database &d = database(db);
    *all = false;
    if (pg_atomic_exchange_u32(&d.any_ticker, 0) == 0) return 0;
    *all = pg_atomic_exchange_u32(&d.all_tickers, 0) != 0;
    int n = 0;
    for (pg_atomic_uint32 &place : d.tickers)
        if (uint32 id = pg_atomic_read_u32(&place) != 0 ? pg_atomic_exchange_u32(&place, 0) : 0; id != 0) ids[n++] = static_cast<int32>(id);
    return n;
}

void serve_tickers_since(SlotNo db, TimestampTz since) { pg_atomic_write_u64(&database(db).tickers_since, static_cast<uint64>(since)); }

TimestampTz tickers_since(SlotNo db) { return static_cast<TimestampTz>(pg_atomic_read_u64(&database(db).tickers_since)); }

}  // namespace pgqueue::signal
