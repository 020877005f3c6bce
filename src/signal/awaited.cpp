#include "signal/awaited.hpp"

#include "memory/wake.hpp"

namespace pgqueue::signal {
namespace {

Atomic<int32> *cell_of(SlotNo db, int64 id) {
    uint64 h = hash_bytes_uint32_extended(static_cast<uint32>(id), static_cast<uint64>(id >> 32) + static_cast<uint64>(db) * 31);
    return &map.shared->awaited[h % awaited_cells];
}

}  // namespace

bool may_be_awaited(SlotNo db, int64 id) { return cell_of(db, id)->load() != 0; }

void add_awaited(SlotNo db, int64 id, int32 count) { cell_of(db, id)->fetch_add(count); }

void post_settle(SlotNo db, int64 id, Wake wake) {
    Database &d = database(db);
    // Any free place does; a few tries keep it short.
    uint32 at = static_cast<uint32>(id);
    bool placed = false;
    for (uint32 i = 0; i < 16 && !placed; i++) {
        placed = d.posted[(at + i) % settle_posts].replace(0, id);
    }
    if (!placed) d.settle_all.store(true);
    pg_memory_barrier();
    d.any_posted.store(true);
    if (wake == Wake::Yes) wake_scheduler(db);
}

void post_settle_all(SlotNo db, Wake wake) {
    database(db).settle_all.store(true);
    pg_memory_barrier();
    database(db).any_posted.store(true);
    if (wake == Wake::Yes) wake_scheduler(db);
}

int take_posted(SlotNo db, int64 *ids) {
    Database &d = database(db);
    if (!d.any_posted.exchange(false)) return 0;
    int n = 0;
    for (int i = 0; i < settle_posts; i++) {
        if (d.posted[i].load() == 0) continue;
        ids[n++] = d.posted[i].exchange(0);
    }
    return n;
}

bool take_posted_all(SlotNo db) { return database(db).settle_all.exchange(false); }

bool anything_posted(SlotNo db) { return database(db).any_posted.load(); }

}  // namespace pgqueue::signal
