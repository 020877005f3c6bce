// When tickers fire: a heap of their due times in this process, filled from the rows, and one of those that are looked
// at again after a while. What a slot makes: task/ticker.
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

// Heaps: by the calendar, and by the monotonic clock.
enum Order { Due, Again, orders };

struct Entry {
    int32 id;  // key
    bool filed;
    Order in;
    int64 at;  // by the clock of its heap
    pairingheap_node node;
};

constinit HTAB *entries = nullptr;
constinit pairingheap *heaps[orders] = {};
constinit bool read_all = true;
// Tickers taken at once: fewer while their tasks are large.
constinit int batch = batch_most;

// The server's pairingheap_container is C.
const Entry *entry_of(const pairingheap_node *node) { return reinterpret_cast<const Entry *>(reinterpret_cast<const char *>(node) - offsetof(Entry, node)); }
Entry *entry_of(pairingheap_node *node) { return reinterpret_cast<Entry *>(reinterpret_cast<char *>(node) - offsetof(Entry, node)); }

int later_first(const pairingheap_node *a, const pairingheap_node *b, void *) {
    int64 x = entry_of(a)->at, y = entry_of(b)->at;
    return x < y ? 1 : x > y ? -1 : 0;
}

void begin_anew() {
    if (entries != nullptr) hash_destroy(entries);
    for (pairingheap *heap : heaps)
        if (heap != nullptr) pairingheap_free(heap);
    HASHCTL control{};
    control.keysize = sizeof(int32);
    control.entrysize = sizeof(Entry);
    control.hcxt = self.lasting;
    pg::MemoryScope scope(self.lasting);
    entries = hash_create("pgqueue tickers", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    for (pairingheap *&heap : heaps) heap = pairingheap_allocate(later_first, nullptr);
}

void take_out(Entry *e) {
    if (e->filed) pairingheap_remove(heaps[e->in], &e->node);
    e->filed = false;
}

// Puts a ticker into a heap, out of the one that it is in.
void file_in(Order order, int32 id, int64 at) {
    bool found;
    auto *e = static_cast<Entry *>(hash_search(entries, &id, HASH_ENTER, &found));
    if (found) take_out(e);
    e->filed = true;
    e->in = order;
    e->at = at;
    pairingheap_add(heaps[order], &e->node);
}

void forget(int32 id) {
    auto *e = static_cast<Entry *>(hash_search(entries, &id, HASH_FIND, nullptr));
    if (e == nullptr) return;
    take_out(e);
    hash_search(entries, &id, HASH_REMOVE, nullptr);
}

// due 0: it never is.
void file(int32 id, TimestampTz due) {
    if (due != 0)
        file_in(Due, id, due);
    else
        forget(id);
}

void look_again(int32 id, pg::Deadline when) { file_in(Again, id, when.at); }

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
bool handle(std::span<const int32> ids, const pg::Moment &now, TimestampTz since) {
    auto *rows = static_cast<store::Ticker *>(MemoryContextAlloc(self.scratch, sizeof(store::Ticker) * ids.size()));
    int n = 0, handled = 0;
    PGQUEUE_TESTPOINT("ticker-due");
    bool ok = transact("fire tickers", [&] {
        n = store::lock_tickers(ids, rows);
        handled = static_cast<int>(task::handle_due({rows, static_cast<std::size_t>(n)}, now.wall, since));
        PGQUEUE_TESTPOINT("ticker-fired");
    });
    if (!ok) return false;
    for (int32 id : ids) look_again(id, now.in(held_wait));
    for (int i = 0; i < n; i++) {
        const store::Ticker &t = rows[i];
        if (i < handled && t.due_at != 0 && t.due_at <= now.wall)
            look_again(t.id, now.in(0));
        else
            file(t.id, t.due_at);
    }
    batch = handled < n ? handled : Min(batch * 2, batch_most);
    return true;
}

// The time of the first one of a heap, INT64_MAX none.
int64 first_of(Order order) {
    return pairingheap_is_empty(heaps[order]) ? INT64_MAX : entry_of(pairingheap_first(heaps[order]))->at;
}

// A batch of those that are due, out of their heaps; those that are looked at again come behind the others.
int take(const pg::Moment &now, int32 *ids) {
    int n = 0;
    for (auto [order, time] : {std::pair{Due, now.wall}, std::pair{Again, now.monotonic}}) {
        while (n < batch && first_of(order) <= time) {
            Entry *e = entry_of(pairingheap_first(heaps[order]));
            take_out(e);
            ids[n++] = e->id;
        }
    }
    return n;
}

void fire_batch(std::span<const int32> ids, const pg::Moment &now, TimestampTz since) {
    if (handle(ids, now, since)) return;
    // One of them may be the reason: it must not stop the others. When many are, something else is.
    constexpr int most_failures = 8;
    int failures = ids.size() == 1 ? most_failures : 0;
    bool one = ids.size() == 1;
    for (int32 id : ids) {
        if (failures < most_failures && handle({&id, 1}, now, since)) continue;
        look_again(id, now.in(failures < most_failures || one ? wait_after_failure(failed_wait) : held_wait));
        failures++;
    }
}

bool clock_was_set(const pg::Moment &now) {
    static constinit pg::Moment last{};
    bool set = last.wall != 0 && now.step_since(last) != 0;
    last = now;
    return set;
}

}  // namespace

pg::Deadline fire_tickers(const pg::Moment &now) {
    dispatch::Database &d = my_db();
    bool set = clock_was_set(now);
    if (!config::tickers) {
        pg_atomic_write_u32(&d.tickers_on, 0);
        return never;
    }
    if (set || pg_atomic_exchange_u32(&d.tickers_on, 1) == 0) dispatch::serve_tickers_since(self.db, now.wall);
    read_rows();
    if (read_all) return now.in(wait_after_failure(failed_wait));
    int32 ids[batch_most];
    while (int n = take(now, ids)) {
        fire_batch({ids, static_cast<std::size_t>(n)}, now, dispatch::tickers_since(self.db));
        if (now.in(turn).at < pg::monotonic_now()) break;
    }
    return Min(now.until(first_of(Due)), pg::Deadline{first_of(Again)});
}

}  // namespace pgqueue::worker::scheduler
