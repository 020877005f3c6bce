#include "signal/dependency_posts.hpp"

#include "memory/wake.hpp"

namespace pgqueue::signal {
namespace {

Atomic<int32> *cell_of(SlotNo db, int64 id) {
    uint64 h = hash_bytes_uint32_extended(static_cast<uint32>(id),
                                          static_cast<uint64>(id >> 32) + static_cast<uint64>(db) * 31);
    return &map.shared->awaited[h % awaited_cells];
}

// Any free place will do. Few tries keep the search short. Returns false if they found none.
bool place(SettlePosts *posts, int64 id) {
    uint32 at = static_cast<uint32>(id);
    for (uint32 i = 0; i < 16; i++) {
        Atomic<int64> &p = posts->ids[(at + i) % settle_posts];
        if (p.load() == id || p.replace(0, id)) return true;
    }
    return false;
}

// Makes a post visible to the scheduler: from the innermost mark outwards, as it reads them the other way.
void show(SlotNo db, SettlePosts *posts) {
    pg_memory_barrier();
    posts->any.store(true);
    pg_memory_barrier();
    database(db).dependencies.posted.store(true);
}

bool take(SettlePosts *posts, Posted *posted) {
    posted->count = 0;
    posted->all = false;
    if (!posts->any.load() || !posts->any.exchange(false)) return false;
    posted->all = posts->all.exchange(false);
    for (Atomic<int64> &p : posts->ids)
        if (p.load() != 0) posted->ids[posted->count++] = p.exchange(0);
    return true;
}

}  // namespace

bool may_be_awaited(SlotNo db, int64 id) { return cell_of(db, id)->load() != 0; }

void add_awaited(SlotNo db, int64 id, int32 count) { cell_of(db, id)->fetch_add(count); }

void post_settle(SlotNo ns, int64 id) {
    Namespace &n = map.namespaces[ns];
    if (!place(&n.posts, id)) n.posts.all.store(true);
    show(n.db, &n.posts);
    wake_scheduler(n.db);
}

void post_settle_namespace(SlotNo ns) {
    Namespace &n = map.namespaces[ns];
    n.posts.all.store(true);
    show(n.db, &n.posts);
    wake_scheduler(n.db);
}

void post_settle_all(SlotNo db, Wake wake) {
    SettlePosts &posts = database(db).dependencies.posts;
    posts.all.store(true);
    show(db, &posts);
    if (wake == Wake::Yes) wake_scheduler(db);
}

bool post_lost_hint(SlotNo db, int64 id) {
    SettlePosts &posts = database(db).dependencies.posts;
    if (!place(&posts, id)) return false;
    show(db, &posts);
    wake_scheduler(db);
    return true;
}

bool anything_posted(SlotNo db) { return database(db).dependencies.posted.load(); }

void begin_taking(SlotNo db) { (void)database(db).dependencies.posted.exchange(false); }

bool take_posted(SlotNo ns, Posted *posted) { return take(&map.namespaces[ns].posts, posted); }

bool take_lost_hints(SlotNo db, Posted *posted) { return take(&database(db).dependencies.posts, posted); }

}  // namespace pgqueue::signal
