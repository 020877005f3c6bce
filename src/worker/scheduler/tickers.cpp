// Decides when tickers fire. For each namespace this process has a heap of due times, filled from the rows, and a heap
// of tickers to be tried again after a while. Namespaces take turns. task/fire_ticker handles the slots.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "signal/ticker_posts.hpp"
#include "task/fire_ticker.hpp"

namespace pgqueue::worker::scheduler {
namespace {

constexpr int batch_most = 500;
// Tickers do not keep the scheduler from its other work for longer than this.
constexpr int64 turn = 100 * 1000;
// A ticker whose row another transaction holds, or that could not be handled, is tried again after this time.
constexpr int64 held_wait = 100 * 1000;
constexpr int64 failed_wait = 10 * int64(USECS_PER_SEC);

// Heaps: by the wall clock, and by the monotonic clock.
enum Order { Due, Again, orders };

// The tickers of a namespace.
struct Calendar {
    int32 ns_id;  // key
    pairingheap *heaps[orders];
};

struct Entry {
    int32 id;  // key
    Calendar *calendar;
    bool filed;
    Order in;
    int64 at;  // by the clock of its heap
    pairingheap_node node;
};

constinit HTAB *entries = nullptr, *calendars = nullptr;
constinit List *all_calendars = NIL;
constinit bool read_all = true;
// How many tickers are taken at once: fewer while their tasks are large, or if they have missed many slots.
constinit int batch = batch_most;

// The server's pairingheap_container does not compile as C++.
const Entry *entry_of(const pairingheap_node *node) {
    return reinterpret_cast<const Entry *>(reinterpret_cast<const char *>(node) - offsetof(Entry, node));
}
Entry *entry_of(pairingheap_node *node) {
    return reinterpret_cast<Entry *>(reinterpret_cast<char *>(node) - offsetof(Entry, node));
}

int later_first(const pairingheap_node *a, const pairingheap_node *b, void *) {
    int64 x = entry_of(a)->at, y = entry_of(b)->at;
    return x < y ? 1 : x > y ? -1 : 0;
}

HTAB *table(const char *name, Size entry) {
    HASHCTL control{};
    control.keysize = sizeof(int32);
    control.entrysize = entry;
    control.hcxt = self.lasting;
    return hash_create(name, 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void begin_anew() {
    ListCell *cell;
    foreach(cell, all_calendars)
        for (pairingheap *heap : static_cast<Calendar *>(lfirst(cell))->heaps) pairingheap_free(heap);
    list_free(all_calendars);
    all_calendars = NIL;
    if (entries != nullptr) hash_destroy(entries);
    if (calendars != nullptr) hash_destroy(calendars);
    pg::MemoryScope scope(self.lasting);
    entries = table("pgqueue tickers", sizeof(Entry));
    calendars = table("pgqueue calendars", sizeof(Calendar));
}

Calendar *calendar_of(int32 ns_id) {
    bool found;
    auto *c = static_cast<Calendar *>(hash_search(calendars, &ns_id, HASH_ENTER, &found));
    if (found) return c;
    pg::MemoryScope scope(self.lasting);
    for (pairingheap *&heap : c->heaps) heap = pairingheap_allocate(later_first, nullptr);
    all_calendars = lappend(all_calendars, c);
    return c;
}

void take_out(Entry *e) {
    if (e->filed) pairingheap_remove(e->calendar->heaps[e->in], &e->node);
    e->filed = false;
}

// Moves a ticker into a heap, out of its present one.
void file_in(Order order, Entry *e, int64 at) {
    take_out(e);
    e->filed = true;
    e->in = order;
    e->at = at;
    pairingheap_add(e->calendar->heaps[order], &e->node);
}

Entry *find(int32 id) { return static_cast<Entry *>(hash_search(entries, &id, HASH_FIND, nullptr)); }

void forget(int32 id) {
    Entry *e = find(id);
    if (e == nullptr) return;
    take_out(e);
    hash_search(entries, &id, HASH_REMOVE, nullptr);
}

void file(const store::TickerDue &t) {
    if (t.due == 0) {
        forget(t.id);
        return;
    }
    bool found;
    auto *e = static_cast<Entry *>(hash_search(entries, &t.id, HASH_ENTER, &found));
    if (!found) e->filed = false;
    e->calendar = calendar_of(t.ns_id);
    file_in(Due, e, t.due);
}

// Files a ticker that was taken for another try.
void recheck(int32 id, pg::Deadline when) { file_in(Again, find(id), when.at); }

void read_rows() {
    static constinit int32 ids[memory::ticker_posts];
    bool all;
    int n = signal::take_tickers(self.db, ids, &all);
    bool ok = true;
    if (read_all || all) {
        ok = transact("read its tickers", [] {
            begin_anew();
            store::each_due(file);
        });
        read_all = !ok;
    } else if (n > 0) {
        ok = transact("read tickers", [n] { store::each_due_of({ids, static_cast<std::size_t>(n)}, file); });
        read_all = !ok;
    }
}

// Handles tickers in one transaction. Those whose rows another transaction holds are filed again. A ticker with more to
// do goes behind the others.
bool handle(std::span<const int32> ids, const pg::Moment &now, TimestampTz since) {
    auto *rows = static_cast<store::Ticker *>(MemoryContextAlloc(self.scratch, sizeof(store::Ticker) * ids.size()));
    int n = 0, handled = 0;
    const int64 began = pg::monotonic_now();
    PGQUEUE_TESTPOINT("ticker-due");
    bool ok = transact("fire tickers", [&] {
        n = store::lock_tickers(ids, rows);
        handled = static_cast<int>(task::handle_due({rows, static_cast<std::size_t>(n)}, now.wall, since));
        PGQUEUE_TESTPOINT("ticker-fired");
    });
    if (!ok) return false;
    for (int32 id : ids) recheck(id, now.in(held_wait));
    for (int i = 0; i < n; i++) {
        const store::Ticker &t = rows[i];
        if (i < handled && t.due_at != 0 && t.due_at <= now.wall)
            recheck(t.id, now.in(0));
        else
            file({t.id, t.ns_id, t.due_at});
    }
    const bool slow = pg::monotonic_now() - began > turn / 2;
    batch = handled < n ? handled : slow ? Max(n / 2, 1) : Min(batch * 2, batch_most);
    return true;
}

// Returns the time of a heap's first ticker; INT64_MAX: it is empty.
int64 first_of(pairingheap *heap) {
    return pairingheap_is_empty(heap) ? INT64_MAX : entry_of(pairingheap_first(heap))->at;
}

// Returns the same over all namespaces.
int64 first_of_all(Order order) {
    int64 first = INT64_MAX;
    ListCell *cell;
    foreach(cell, all_calendars) first = Min(first, first_of(static_cast<Calendar *>(lfirst(cell))->heaps[order]));
    return first;
}

bool has_due(const Calendar &c, const pg::Moment &now) {
    return first_of(c.heaps[Due]) <= now.wall || first_of(c.heaps[Again]) <= now.monotonic;
}

// Takes up to `most` due tickers of a namespace. Tickers that are tried again come behind the others.
int take_of(const Calendar &c, const pg::Moment &now, int most, int32 *ids) {
    int n = 0;
    for (auto [order, time] : {std::pair{Due, now.wall}, std::pair{Again, now.monotonic}}) {
        while (n < most && first_of(c.heaps[order]) <= time) {
            Entry *e = entry_of(pairingheap_first(c.heaps[order]));
            take_out(e);
            ids[n++] = e->id;
        }
    }
    return n;
}

// Takes a batch of due tickers out of their heaps: from each namespace its share, as long as there are any. Each time
// another namespace is first.
int take(const pg::Moment &now, int32 *ids) {
    static constinit uint32 turns = 0;
    const int count = list_length(all_calendars);
    int due = 0, n = 0;
    ListCell *cell;
    foreach(cell, all_calendars) due += has_due(*static_cast<Calendar *>(lfirst(cell)), now);
    const int share = due > 0 ? Max(batch / due, 1) : 0;
    turns++;
    for (int before = -1; n > before && n < batch;) {
        before = n;
        for (int i = 0; i < count && n < batch; i++) {
            const auto *c = static_cast<Calendar *>(list_nth(
                all_calendars, static_cast<int>((turns + static_cast<uint32>(i)) % static_cast<uint32>(count))));
            n += take_of(*c, now, Min(share, batch - n), ids + n);
        }
    }
    return n;
}

void fire_batch(std::span<const int32> ids, const pg::Moment &now, TimestampTz since) {
    if (handle(ids, now, since)) return;
    // One of them may be the reason, and must not stop the others. If many fail, the reason is something else.
    constexpr int most_failures = 8;
    int failures = ids.size() == 1 ? most_failures : 0;
    bool one = ids.size() == 1;
    for (int32 id : ids) {
        if (failures < most_failures && handle({&id, 1}, now, since)) continue;
        recheck(id, now.in(failures < most_failures || one ? wait_after_failure(failed_wait) : held_wait));
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
    memory::Database &d = my_db();
    bool set = clock_was_set(now);
    if (!config::tickers) {
        d.tickers.on.store(false);
        return never;
    }
    if (set || !d.tickers.on.exchange(true)) signal::serve_tickers_since(self.db, now.wall);
    read_rows();
    if (read_all) return now.in(wait_after_failure(failed_wait));
    int32 ids[batch_most];
    pg::Moment at = now;
    while (int n = take(at, ids)) {
        fire_batch({ids, static_cast<std::size_t>(n)}, at, signal::tickers_since(self.db));
        at = pg::this_moment();
        if (now.in(turn).passed(at)) break;
    }
    return Min(at.until(first_of_all(Due)), pg::Deadline{first_of_all(Again)});
}

}  // namespace pgqueue::worker::scheduler
