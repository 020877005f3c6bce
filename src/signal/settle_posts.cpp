#include "signal/settle_posts.hpp"

#include "memory/wake.hpp"

namespace pgqueue::signal {
namespace {

Atomic<int32> *cell_of(SlotNo db, int64 id) {
    uint64 h = hash_bytes_uint32_extended(static_cast<uint32>(id),
                                          static_cast<uint64>(id >> 32) + static_cast<uint64>(db) * 31);
    return &map.shared->awaited[h % awaited_cells];
}

}  // namespace

bool may_be_awaited(SlotNo db, int64 id) { return cell_of(db, id)->load() != 0; }

void add_awaited(SlotNo db, int64 id, int32 count) { cell_of(db, id)->fetch_add(count); }

bool post_settle(SlotNo db, int64 id, Wake wake) {
    Database &d = database(db);
    // Any free place will do. Few tries keep the search short.
    uint32 at = static_cast<uint32>(id);
    bool placed = false;
    for (uint32 i = 0; i < 16 && !placed; i++) {
        placed = d.posts.ids[(at + i) % settle_posts].replace(0, id);
    }
    if (!placed) d.posts.all.store(true);
    pg_memory_barrier();
    d.posts.any.store(true);
    if (wake == Wake::Yes) wake_scheduler(db);
    return placed;
}

void post_settle_all(SlotNo db, Wake wake) {
    database(db).posts.all.store(true);
    pg_memory_barrier();
    database(db).posts.any.store(true);
    if (wake == Wake::Yes) wake_scheduler(db);
}

int take_posted(SlotNo db, int64 *ids) {
    Database &d = database(db);
    if (!d.posts.any.exchange(false)) return 0;
    int n = 0;
    for (int i = 0; i < settle_posts; i++) {
        if (d.posts.ids[i].load() == 0) continue;
        ids[n++] = d.posts.ids[i].exchange(0);
    }
    return n;
}

bool take_posted_all(SlotNo db) { return database(db).posts.all.exchange(false); }

bool anything_posted(SlotNo db) { return database(db).posts.any.load(); }

}  // namespace pgqueue::signal
