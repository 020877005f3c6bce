#include "handover/statistics.hpp"

#include "config/server_settings.hpp"
#include "memory/wake.hpp"
#include "stats/totals.hpp"

namespace pgqueue::handover {
namespace {

enum class What : uint8 { Total, Cost, Time };

// What is added to one number of a queue, or to one bucket of a histogram.
struct Note {
    SubTransactionId sub;
    SlotNo queue;
    What what;
    uint8 kind;    // Total, RunCost or Time
    int16 bucket;  // of a Time
    int64 count, sum, longest;

    bool is_same(const Note &other) const {
        return sub == other.sub && queue == other.queue && what == other.what && kind == other.kind &&
               bucket == other.bucket;
    }
};
constinit Notes<Note> notes{};

// Where a number was noted last, by a hash, so that a transaction with many tasks has few notes. Only a hint: the note
// at that place may be another one.
constexpr uint32 recent_notes = 256;
constinit int recent[recent_notes]{};

void note(Note n) {
    n.sub = GetCurrentSubTransactionId();
    const uint32 hash = murmurhash32(static_cast<uint32>(n.queue) * 1024u + static_cast<uint32>(n.bucket) * 64u +
                                     static_cast<uint32>(n.what) * 16u + n.kind);
    int &at = recent[hash % recent_notes];
    if (at >= notes.count || !notes.items[at].is_same(n)) {
        at = notes.count;
        *notes.add() = n;
        return;
    }
    Note &known = notes.items[at];
    known.count += n.count;
    known.sum += n.sum;
    known.longest = Max(known.longest, n.longest);
}

// Notes since when the statistics of these queues have not been saved. The first of a database wakes the scheduler in a
// while, but before the minute ends, because stat_history counts by minutes.
void mark_unsaved(SlotNo db) {
    TimestampTz now = 0;
    for (const Note &n : std::span(notes.items, static_cast<Size>(notes.count))) {
        Atomic<TimestampTz> &since = map.statistics[n.queue].unsaved_since;
        if (since.load() != 0 || map.queues[n.queue].queue_id < first_id_of_users) continue;
        if (now == 0) now = GetCurrentTimestamp();
        (void)since.replace(0, now);
    }
    if (now == 0 || db < 0 || database(db).unsaved.any.load() || database(db).unsaved.any.exchange(true)) return;
    const int64 left = USECS_PER_MINUTE - now % USECS_PER_MINUTE;
    wake_scheduler_by(db, pg::deadline_in(Min(int64{config::stats_flush_interval} * 1000, left)));
}

}  // namespace

void add_total_at_commit(SlotNo queue, Total kind, int64 count) {
    note({0, queue, What::Total, static_cast<uint8>(kind), 0, count, 0, 0});
}

void add_cost_at_commit(SlotNo queue, RunCost kind, int64 amount) {
    note({0, queue, What::Cost, static_cast<uint8>(kind), 0, amount, 0, 0});
}

void add_time_at_commit(SlotNo queue, Time kind, int64 us) {
    us = Max(us, int64{0});
    note({0, queue, What::Time, static_cast<uint8>(kind), static_cast<int16>(histogram::bucket_of(us)), 1, us, us});
}

void prepare_statistics() {
    for (const Note &n : std::span(notes.items, static_cast<Size>(notes.count)))
        if (n.what == What::Time) (void)stats::prepare_times(n.queue, static_cast<Time>(n.kind));
}

void add_statistics(SlotNo db) {
    for (const Note &n : std::span(notes.items, static_cast<Size>(notes.count))) switch (n.what) {
            case What::Total: stats::add_total(n.queue, static_cast<Total>(n.kind), n.count); break;
            case What::Cost: stats::add_cost(n.queue, static_cast<RunCost>(n.kind), n.count); break;
            case What::Time:
                stats::add_times(n.queue, static_cast<Time>(n.kind), n.bucket, n.count, n.sum, n.longest);
                break;
        }
    mark_unsaved(db);
}

void forget_statistics(SubTransactionId sub) { sub == InvalidSubTransactionId ? notes.reset() : notes.forget(sub); }
void hand_up_statistics(SubTransactionId sub, SubTransactionId parent) { notes.hand_up(sub, parent); }

}  // namespace pgqueue::handover
