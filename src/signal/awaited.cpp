#include "signal/awaited.hpp"

#include "memory/wake.hpp"

namespace pgqueue::signal {
namespace {

pg_atomic_uint32 *cell_of(SlotNo db, int64 id) {
    uint64 h = hash_bytes_uint32_extended(static_cast<uint32>(id), static_cast<uint64>(id >> 32) + static_cast<uint64>(db) * 31);
    return &map.shared->awaited[h % awaited_cells];
}

}  // namespace

bool may_be_awaited(SlotNo db, int64 id) { return pg_atomic_read_u32(cell_of(db, id)) != 0; }

void add_awaited(SlotNo db, int64 id, int32 count) { pg_atomic_fetch_add_u32(cell_of(db, id), count); }

void post_settle(SlotNo db, int64 id, Wake wake) {
    Database &d = database(db);
    // Any free place does; a few tries keep it short.
    uint32 at = static_cast<uint32>(id);
    bool placed = false;
    for (uint32 i = 0; i < 16 && !placed; i++) {
        uint64 empty = 0;
        placed = pg_atomic_compare_exchange_u64(&d.posted[(at + i) % settle_posts], &empty, static_cast<uint64>(id));
    }
    if (!placed) pg_atomic_write_u32(&d.settle_all, 1);
    pg_memory_barrier();
    pg_atomic_write_u32(&d.any_posted, 1);
    if (wake == Wake::Yes) wake_scheduler(db);
}

void post_settle_all(SlotNo db, Wake wake) {
    pg_atomic_write_u32(&database(db).settle_all, 1);
    pg_memory_barrier();
    pg_atomic_write_u32(&database(db).any_posted, 1);
    if (wake == Wake::Yes) wake_scheduler(db);
}

int take_posted(SlotNo db, int64 *ids) {
    Database &d = database(db);
    if (pg_atomic_exchange_u32(&d.any_posted, 0) == 0) return 0;
    int n = 0;
    for (int i = 0; i < settle_posts; i++) {
        if (pg_atomic_read_u64(&d.posted[i]) == 0) continue;
        ids[n++] = static_cast<int64>(pg_atomic_exchange_u64(&d.posted[i], 0));
    }
    return n;
}

bool take_posted_all(SlotNo db) { return pg_atomic_exchange_u32(&database(db).settle_all, 0) != 0; }

bool anything_posted(SlotNo db) { return pg_atomic_read_u32(&database(db).any_posted) != 0; }

}  // namespace pgqueue::signal
