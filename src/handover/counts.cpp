#include "handover/counts.hpp"

#include "memory/pool.hpp"
#include "memory/wake.hpp"

namespace pgqueue::handover {
namespace {

constinit Notes<CountNote> counts{};

// By hash, the last note of each change, so that many changes of the same kind share a note.
constexpr uint32 recent_notes = 1024;
constinit int recent[recent_notes] = {};

int *recent_note(SlotNo slot, int from, int to) {
    return &recent[(static_cast<uint32>(slot) * 64 + static_cast<uint32>(from) * 8 + static_cast<uint32>(to)) %
                   recent_notes];
}

}  // namespace

const Notes<CountNote> &noted_counts() { return counts; }
void forget_counts(SubTransactionId sub) { sub == InvalidSubTransactionId ? counts.reset() : counts.forget(sub); }
void hand_up_counts(SubTransactionId sub, SubTransactionId parent) { counts.hand_up(sub, parent); }

void apply_delta(const Delta &d) {
    if (d.from == edges || d.to == edges) {
        map.namespaces[d.slot].edges.fetch_add(d.to == edges ? d.count : -d.count);
        return;
    }
    Queue &q = map.queues[d.slot];
    constexpr int failed = static_cast<int>(Status::Failed);
    if (d.from >= 0 && q.counts[d.from].fetch_sub(d.count) <= d.count && d.from == failed) q.failed_since.store(0);
    if (d.to >= 0 && q.counts[d.to].fetch_add(d.count) <= 0 && d.to == failed)
        q.failed_since.store(GetCurrentTimestamp());
}

void count_at_commit(SlotNo slot, int from, int to, int32 count) {
    int *at = recent_note(slot, from, to);
    if (*at < counts.count) {
        CountNote &note = counts.items[*at];
        const Delta &d = note.delta;
        if (note.sub == GetCurrentSubTransactionId() && d.slot == slot && d.from == from && d.to == to) {
            note.delta.count += count;
            return;
        }
    }
    *at = counts.count;
    counts.add()->delta = Delta{slot, static_cast<int8>(from), static_cast<int8>(to), count};
}

int64 own_count(SlotNo queue, int status) {
    int64 sum = 0;
    for (int i = 0; i < counts.count; i++) {
        const Delta &d = counts.items[i].delta;
        if (d.slot != queue || d.from == edges || d.to == edges) continue;
        if (d.from == status) sum -= d.count;
        if (d.to == status) sum += d.count;
    }
    return sum;
}

int64 unfinished(SlotNo queue) {
    int64 n = 0;
    for (Status s : {Status::New, Status::Retry, Status::Retained})
        n += map.queues[queue].counts[static_cast<int>(s)].load() + own_count(queue, static_cast<int>(s));
    return n;
}

int64 unfinished_of_namespace(SlotNo ns) {
    int64 n = 0;
    for (SlotNo q = 0; q < map.shared->used_queues; q++)
        if (map.queues[q].used && map.queues[q].ns == ns) n += unfinished(q);
    return n;
}

CountsBasis counts_basis(SlotNo db) {
    if (db < 0) return {};
    const uint32 rebuilds = database(db).reading.begun.load();
    pg_memory_barrier();
    return {state_of(db) == DbState::Ready, rebuilds};
}

void hand_over_counts(SlotNo db, const CountsBasis &before, PageNo *deltas) {
    PGQUEUE_SPINPOINT();
    const CountsBasis now = counts_basis(db);
    const bool apply = before.ready && now.ready && before.rebuilds == now.rebuilds;
    const bool unserved = state_of(db) == DbState::Unserved;
    bool finished = false;
    for (int i = 0; i < counts.count; i++) {
        if (apply) apply_delta(counts.items[i].delta);
        int from = counts.items[i].delta.from, to = counts.items[i].delta.to;
        bool of_rows = from < awaiting && to < awaiting;
        finished = finished || (of_rows && (to < 0 || to >= static_cast<int>(Status::Released)));
    }
    // A rebuild that has begun while they were applied may have seen the rows, too: then it is done again.
    pg_memory_barrier();
    if (apply && counts.count > 0 && database(db).reading.begun.load() != now.rebuilds) {
        read_rows_again(db);
        wake_scheduler(db);
    }
    // The first finished or removed task after a quiet time makes the scheduler consider cleaning again.
    if (finished && !database(db).cleaning.timer.load() && !database(db).cleaning.timer.exchange(true))
        wake_scheduler(db);
    const bool push = !apply && !unserved && *deltas != 0;
    while (*deltas != 0) {
        PageNo no = *deltas;
        *deltas = page(no)->next;
        if (push)
            push_page(&database(db).reading.deltas, no);
        else
            give_page(no);
    }
    if (push) wake_scheduler(db);
}

}  // namespace pgqueue::handover
