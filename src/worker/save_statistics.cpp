// Saves statistics, so that they go on after a crash or a restart. Those of a crashed server go on from
// the last time that they were saved.
#include "config/server_settings.hpp"
#include "core/status.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "pg/failure_log.hpp"
#include "pg/limited.hpp"
#include "stats/named.hpp"
#include "stats/totals.hpp"
#include "store/stat_history.hpp"
#include "store/slow_runs.hpp"
#include "worker/processes.hpp"

namespace pgqueue::worker {
namespace {

using memory::map;
using memory::StatNo;
using store::SavedStatistics;
using store::StatMinute;

TimestampTz minute_of(TimestampTz at) { return at - at % USECS_PER_MINUTE; }

bool did_something(const StatMinute &m) {
    for (int64 count : m.counts)
        if (count != 0) return true;
    return false;
}

// Returns a quantile of the times that were added since the start of the minute; below 0: there are none.
double quantile_since(const SavedStatistics &s, Time kind, double q) {
    const int k = static_cast<int>(kind);
    int64 added[histogram::bucket_count];
    for (int b = 0; b < histogram::bucket_count; b++) added[b] = s.now.times[k].counts[b] - s.before.times[k].counts[b];
    const double us = histogram::quantile(added, q, s.now.times[k].longest);
    return us < 0 ? -1 : us / USECS_PER_SEC;
}

void fill_minute(SavedStatistics *s, const memory::Queue &q) {
    StatMinute &m = s->minute;
    for (int k = 0; k < StatMinute::count_kinds; k++) m.counts[k] = s->now.totals[k] - s->before.totals[k];
    auto count = [&q](Status status) { return q.counts[static_cast<int>(status)].load(); };
    m.running = count(Status::Retained);
    m.depth = count(Status::New) + count(Status::Retry) + m.running;
    m.wait_p50 = quantile_since(*s, Time::Wait, 0.5);
    m.wait_p99 = quantile_since(*s, Time::Wait, 0.99);
    m.run_p50 = quantile_since(*s, Time::Run, 0.5);
    m.run_p99 = quantile_since(*s, Time::Run, 0.99);
}

// Counts what was done before a change, at this time, for its minute.
void begin_minute(SavedStatistics *s, bool found, TimestampTz changed) {
    const TimestampTz minute = minute_of(changed);
    if (found && minute != s->minute.minute) {
        if (did_something(s->minute)) store::add_to_history(s->key.object_id, s->minute, config::stats_retention);
        s->before = s->now;
    }
    s->minute.minute = minute;
}

store::StatKey key_of(StatNo no) {
    const StatKind kind = stats::kind_of(no);
    switch (kind) {
        case StatKind::Type: return {kind, map.queues[stats::queue_of(no)].queue_id, memory::name_of(no).name};
        case StatKind::Role:
            return {kind, map.namespaces[stats::namespace_of(no)].ns_id,
                    psprintf(UINT64_FORMAT, memory::name_of(no).key)};
        default: return {kind, map.queues[stats::queue_of(no)].queue_id, ""};
    }
}

// Saves one entry. changed: when the first change since the last time was.
void save(StatNo no, TimestampTz changed) {
    auto *s = static_cast<SavedStatistics *>(palloc0(sizeof(SavedStatistics)));
    const store::StatKey key = key_of(no);
    const bool found = store::read_saved(key, s), queue = key.kind == StatKind::Queue;
    const bool reset = s->now.since != map.statistics[no].since.load();
    s->key = key;
    if (queue) begin_minute(s, found, changed);
    stats::copy(no, &s->now);
    if (reset) s->before = {};
    s->saved_at = GetCurrentTimestamp();
    if (queue) fill_minute(s, map.queues[no]);
    store::write_saved(*s, !found);
    pfree(s);
}

// Statistics that are to be saved, and since when.
struct Unsaved {
    StatNo no;
    TimestampTz since;
};

constexpr std::size_t most_in_transaction = 64;

// What a transaction saves.
struct Part {
    StatNo next = 0;  // the entries from here are left
    std::size_t count = 0;
    Unsaved entries[most_in_transaction];
};

// Returns whether an entry belongs to the database and to something that exists.
bool is_mine(SlotNo db, StatNo no) {
    if (no >= memory::first_named_stat() && !memory::name_of(no).used) return false;
    if (stats::kind_of(no) != StatKind::Role) {
        const memory::Queue &q = map.queues[stats::queue_of(no)];
        if (!q.used || memory::is_dropped(q)) return false;
    }
    const memory::Namespace &ns = map.namespaces[stats::namespace_of(no)];
    return ns.used && ns.db == db && !ns.dropped.load();
}

// Saves the next entries that have unsaved numbers.
void save_some(SlotNo db, Part *part) {
    memory::begin_use();
    for (; part->next < stats::end_of_stats() && part->count < most_in_transaction; part->next++) {
        memory::StatEntry &entry = map.statistics[part->next];
        if (entry.unsaved_since.load() == 0 || !is_mine(db, part->next) || !stats::is_complete(part->next)) continue;
        const TimestampTz since = entry.unsaved_since.exchange(0);
        part->entries[part->count++] = {part->next, since};
        save(part->next, since);
    }
}

void set_bounds(SlotNo ns, const store::LeastRuns &least) {
    map.namespaces[ns].slow_runs.least_run_us.store(least.run_us);
    map.namespaces[ns].slow_runs.least_cpu_us.store(least.cpu_us);
}

// Keeps the table of slow runs short, and sets the bounds of each namespace. What is added meanwhile is trimmed the
// next time.
void trim_slow_runs(SlotNo db) {
    bool any = false;
    memory::each_namespace(db, [&any](SlotNo ns) { any = map.namespaces[ns].slow_runs.added.exchange(0) > 0 || any; });
    if (!any) return;
    pg::Outcome out = pg::run_limited(
        [db] {
            store::trim_slow_runs();
            memory::begin_use();
            memory::each_namespace(db, [](SlotNo ns) { set_bounds(ns, {}); });
            store::each_least_runs([](const store::LeastRuns &least) {
                const SlotNo ns = memory::find_namespace(memory::find_database(MyDatabaseId), least.ns_id);
                if (ns >= 0) set_bounds(ns, least);
            });
        },
        TopMemoryContext);
    if (out.ok) return;
    pg::log_refusal("pgqueue housekeeper could not trim the list of slow runs", out.error);
    memory::each_namespace(db, [](SlotNo ns) { map.namespaces[ns].slow_runs.added.fetch_add(1); });
}

// Returns false if the transaction failed, or another one saves statistics.
bool save_part(SlotNo db, Part *part) {
    bool mine = false;
    part->count = 0;
    pg::Outcome out = pg::run_limited(
        [=, &mine] {
            mine = store::lock_saving();
            if (mine) save_some(db, part);
        },
        TopMemoryContext);
    if (!out.ok) pg::log_refusal("pgqueue housekeeper could not save statistics", out.error);
    if (!out.ok)
        for (const Unsaved &u : std::span(part->entries, part->count))
            (void)map.statistics[u.no].unsaved_since.replace(0, u.since);
    return out.ok && mine;
}

}  // namespace

void save_statistics(SlotNo db) {
    pg::Atomic<bool> &any = memory::database(db).unsaved.any;
    if (!any.exchange(false)) return;
    trim_slow_runs(db);
    Part part;
    do {
        if (save_part(db, &part)) continue;
        any.store(true);
        return;
    } while (part.count == most_in_transaction);
}

}  // namespace pgqueue::worker
