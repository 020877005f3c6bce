// When tickers fire: a heap of their due times in this process, filled from the rows. What a slot makes: task/ticker.
#include "worker/scheduler/scheduler.hpp"

#include "config/settings.hpp"
#include "dispatch/tickers.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "task/ticker.hpp"

namespace pgqueue::worker::scheduler {
namespace {

constexpr int batch_most = 500;
// Longer than this tickers do not keep the scheduler from its other work.
constexpr int64 turn = 100 * 1000;
// A ticker whose row is in somebody's hands, and one that could not be handled, are looked at again after this time.
constexpr int64 held_wait = 100 * 1000;
constexpr int64 failed_wait = 10 * int64(USECS_PER_SEC);

struct Entry {
    int32 id;  // key
    bool filed;
    TimestampTz due;
    pairingheap_node node;
};

constinit HTAB *entries = nullptr;
constinit pairingheap *heap = nullptr;
constinit bool read_all = true;
// Tickers taken at once: fewer while their tasks are large.
constinit int batch = batch_most;

// The server's pairingheap_container is C.
const Entry *entry_of(const pairingheap_node *node) { return reinterpret_cast<const Entry *>(reinterpret_cast<const char *>(node) - offsetof(Entry, node)); }
Entry *entry_of(pairingheap_node *node) { return reinterpret_cast<Entry *>(reinterpret_cast<char *>(node) - offsetof(Entry, node)); }

int later_first(const pairingheap_node *a, const pairingheap_node *b, void *) {
    TimestampTz x = entry_of(a)->due, y = entry_of(b)->due;
    return x < y ? 1 : x > y ? -1 : 0;
}

void begin_anew() {
    if (entries != nullptr) hash_destroy(entries);
    if (heap != nullptr) pairingheap_free(heap);
    HASHCTL control{};
    control.keysize = sizeof(int32);
    control.entrysize = sizeof(Entry);
    control.hcxt = self.lasting;
    pg::MemoryScope scope(self.lasting);
    entries = hash_create("pgqueue tickers", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    heap = pairingheap_allocate(later_first, nullptr);
}

// due 0: it never is.
void file(int32 id, TimestampTz due) {
    bool found;
    auto *e = static_cast<Entry *>(hash_search(entries, &id, due != 0 ? HASH_ENTER : HASH_FIND, &found));
    if (e == nullptr) return;
    if (found && e->filed) pairingheap_remove(heap, &e->node);
    if (due == 0) {
        hash_search(entries, &id, HASH_REMOVE, nullptr);
        return;
    }
    e->filed = true;
    e->due = due;
    pairingheap_add(heap, &e->node);
}

void file_row(void *, int32 id, TimestampTz due) { file(id, due); }

void read_rows() {
    static constinit int32 ids[dispatch::ticker_posts];
    bool all;
    int n = dispatch::take_tickers(self.db, ids, &all);
    bool ok = true;
    if (read_all || all) {
        ok = transact("read its tickers", [] {
            begin_anew();
            store::each_due(file_row, nullptr);
        });
        read_all = !ok;
    } else if (n > 0) {
        ok = transact("read tickers", [n] { store::each_due_of({ids, static_cast<std::size_t>(n)}, file_row, nullptr); });
        read_all = !ok;
    }
}

// Handles them in one transaction; those whose rows somebody holds are filed again. One that has more to do goes behind the others.
bool handle(std::span<const int32> ids, TimestampTz now, TimestampTz since) {
    auto *rows = static_cast<store::Ticker *>(MemoryContextAlloc(self.scratch, sizeof(store::Ticker) * ids.size()));
    int n = 0, handled = 0;
    PGQUEUE_TESTPOINT("ticker-due");
    bool ok = transact("fire tickers", [&] {
        n = store::lock_tickers(ids, rows);
        handled = static_cast<int>(task::handle_due({rows, static_cast<std::size_t>(n)}, now, since));
        PGQUEUE_TESTPOINT("ticker-fired");
    });
    if (!ok) return false;
    for (int32 id : ids) file(id, now + held_wait);
    for (int i = 0; i < n; i++) file(rows[i].id, i < handled && rows[i].due_at != 0 ? Max(rows[i].due_at, now) : rows[i].due_at);
    batch = handled < n ? handled : Min(batch * 2, batch_most);
    return true;
}

// A batch of those that are due, out of the heap.
int take(TimestampTz now, int32 *ids) {
    int n = 0;
    while (n < batch && !pairingheap_is_empty(heap) && entry_of(pairingheap_first(heap))->due <= now) {
        Entry *e = entry_of(pairingheap_remove_first(heap));
        e->filed = false;
        ids[n++] = e->id;
    }
    return n;
}

void fire_batch(std::span<const int32> ids, TimestampTz now, TimestampTz since) {
    if (handle(ids, now, since)) return;
    // One of them may be the reason: it must not stop the others.
    for (int32 id : ids)
        if (ids.size() == 1 || !handle({&id, 1}, now, since)) file(id, now + failed_wait);
}

bool clock_went_forward(const pg::Moment &now) {
    static constinit pg::Moment last{};
    bool forward = last.wall != 0 && now.step_since(last) > 0;
    last = now;
    return forward;
}

}  // namespace

TimestampTz fire_tickers(const pg::Moment &moment) {
    dispatch::Database &d = my_db();
    TimestampTz now = moment.wall;
    bool forward = clock_went_forward(moment);
    if (!config::tickers) {
        pg_atomic_write_u32(&d.tickers_on, 0);
        return never;
    }
    if (forward || pg_atomic_exchange_u32(&d.tickers_on, 1) == 0) dispatch::serve_tickers_since(self.db, now);
    read_rows();
    if (read_all) return now + failed_wait;
    int32 ids[batch_most];
    while (int n = take(now, ids)) {
        fire_batch({ids, static_cast<std::size_t>(n)}, now, dispatch::tickers_since(self.db));
        if (GetCurrentTimestamp() - now > turn) break;
    }
    return pairingheap_is_empty(heap) ? never : entry_of(pairingheap_first(heap))->due;
}

}  // namespace pgqueue::worker::scheduler
