#include "handover/statistics.hpp"

#include "stats/totals.hpp"
#include "stats/unsaved.hpp"

namespace pgqueue::handover {
namespace {

enum class What : uint8 { Total, Cost, Time, Reset };

// What is added to one number, or to one bucket of a histogram; or that all begin anew.
struct Note {
    SubTransactionId sub;
    StatNo stat;
    What what;
    uint8 kind;    // Total, RunCost or Time
    int16 bucket;  // of a Time
    int64 count, sum, longest;

    bool is_same(const Note &other) const {
        return sub == other.sub && stat == other.stat && what == other.what && kind == other.kind &&
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
    const uint32 hash = murmurhash32(static_cast<uint32>(n.stat) * 1024u + static_cast<uint32>(n.bucket) * 64u +
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

int64 unfinished_rows(SlotNo queue) {
    int64 n = 0;
    for (Status s : {Status::New, Status::Retry, Status::Retained})
        n += map.queues[queue].counts[static_cast<int>(s)].load();
    return n;
}

}  // namespace

void add_total_at_commit(StatNo stat, Total kind, int64 count) {
    note({0, stat, What::Total, static_cast<uint8>(kind), 0, count, 0, 0});
}

void add_cost_at_commit(StatNo stat, RunCost kind, int64 amount) {
    note({0, stat, What::Cost, static_cast<uint8>(kind), 0, amount, 0, 0});
}

void add_time_at_commit(StatNo stat, Time kind, int64 us) {
    us = Max(us, int64{0});
    note({0, stat, What::Time, static_cast<uint8>(kind), static_cast<int16>(histogram::bucket_of(us)), 1, us, us});
}

void reset_at_commit(StatNo stat) { note({0, stat, What::Reset, 0, 0, 0, 0, 0}); }

bool any_statistics() { return notes.count > 0; }
bool were_statistics() { return notes.used(); }

void prepare_statistics() {
    for (const Note &n : std::span(notes.items, static_cast<Size>(notes.count)))
        if (n.what == What::Time) (void)stats::prepare_times(n.stat, static_cast<Time>(n.kind));
}

void add_statistics(SlotNo db) {
    const std::span<const Note> all(notes.items, static_cast<Size>(notes.count));
    // First, because what this transaction has done is not in the counts yet.
    for (const Note &n : all)
        if (n.what == What::Reset) stats::reset(n.stat, n.stat < map.shared->n_queues ? unfinished_rows(n.stat) : 0);
    for (const Note &n : all) switch (n.what) {
            case What::Total: stats::add_total(n.stat, static_cast<Total>(n.kind), n.count); break;
            case What::Cost: stats::add_cost(n.stat, static_cast<RunCost>(n.kind), n.count); break;
            case What::Time:
                stats::add_times(n.stat, static_cast<Time>(n.kind), n.bucket, n.count, n.sum, n.longest);
                break;
            case What::Reset: break;
        }
    TimestampTz marked = 0;
    for (const Note &n : all) marked = stats::mark_unsaved(n.stat, marked);
    stats::save_soon(db, marked);
}

void forget_statistics(SubTransactionId sub) { sub == InvalidSubTransactionId ? notes.reset() : notes.forget(sub); }
void hand_up_statistics(SubTransactionId sub, SubTransactionId parent) { notes.hand_up(sub, parent); }

}  // namespace pgqueue::handover
