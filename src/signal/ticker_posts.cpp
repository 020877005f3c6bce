#include "signal/ticker_posts.hpp"

namespace pgqueue::signal {

void post_ticker(SlotNo db, int32 id) {
    if (db < 0) return;
    Database &d = database(db);
    bool placed = false;
    for (uint32 i = 0; i < ticker_posts && !placed; i++) {
        Atomic<int32> &place = d.tickers.ids[(static_cast<uint32>(id) + i) % ticker_posts];
        int32 empty = 0;
        placed = place.compare_exchange(&empty, id) || empty == id;
    }
    if (!placed) d.tickers.all.store(true);
    pg_memory_barrier();
    d.tickers.any.store(true);
}

int take_tickers(SlotNo db, int32 *ids, bool *all) {
    Database &d = database(db);
    *all = false;
    if (!d.tickers.any.exchange(false)) return 0;
    *all = d.tickers.all.exchange(false);
    int n = 0;
    for (Atomic<int32> &place : d.tickers.ids)
        if (int32 id = place.load() != 0 ? place.exchange(0) : 0; id != 0) ids[n++] = id;
    return n;
}

void serve_tickers_since(SlotNo db, TimestampTz since) { database(db).tickers.since.store(since); }

TimestampTz tickers_since(SlotNo db) { return database(db).tickers.since.load(); }

}  // namespace pgqueue::signal
