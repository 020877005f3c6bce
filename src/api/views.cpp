// What the views read from shared memory: counts by status, and workers of the server. Of running tasks only those that
// the caller may see: a comparison of the caller may come before a condition of the view.
#include "api/call.hpp"

#include "handover/counts.hpp"
#include "memory/registry.hpp"
#include "pg/clock.hpp"
#include "pg/guards.hpp"
#include "signal/live_costs.hpp"
#include "signal/progress.hpp"
#include "store/rows.hpp"
#include "store/scan.hpp"
#include "store/segments.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

struct RowSink {
    ReturnSetInfo *info;
    void put(Datum *values, bool *nulls) const { tuplestore_putvalues(info->setResult, info->setDesc, values, nulls); }
};

RowSink open_rows(FunctionCallInfo fcinfo) {
    InitMaterializedSRF(fcinfo, 0);
    return {reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo)};
}

void put_count(const RowSink &rows, int32 queue_id, int status, int64 count) {
    Datum values[3] = {Int32GetDatum(queue_id), Int16GetDatum(static_cast<int16>(status)), Int64GetDatum(count)};
    bool nulls[3] = {};
    rows.put(values, nulls);
}

struct Tally {
    int32 queue_id;
    int64 counts[status_count];
};

// Counts the rows, if no scheduler has counters.
void count_rows(const RowSink &rows) {
    HASHCTL ctl{};
    ctl.keysize = sizeof(int32);
    ctl.entrysize = sizeof(Tally);
    ctl.hcxt = CurrentMemoryContext;
    HTAB *tally = hash_create("pgqueue counts", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    Snapshot snapshot = RegisterSnapshot(GetActiveSnapshot());
    store::scan(
        snapshot,
        [](void *arg, const store::TaskRow &row) {
            bool found;
            auto *t = static_cast<Tally *>(hash_search(static_cast<HTAB *>(arg), &row.queue_id, HASH_ENTER, &found));
            if (!found) memset(t->counts, 0, sizeof(t->counts));
            t->counts[static_cast<int>(row.status)]++;
            return true;
        },
        nullptr, tally);
    UnregisterSnapshot(snapshot);
    HASH_SEQ_STATUS seq;
    hash_seq_init(&seq, tally);
    while (auto *t = static_cast<Tally *>(hash_seq_search(&seq)))
        for (int s = 0; s < status_count; s++) put_count(rows, t->queue_id, s, t->counts[s]);
}

memory::SlotNo served_database() {
    if (!memory::loaded()) return -1;
    memory::SlotNo db = memory::find_database(MyDatabaseId);
    return db >= 0 && memory::state_of(db) == memory::DbState::Ready ? db : -1;
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_queue_counts) {
    RowSink rows = open_rows(fcinfo);
    memory::SlotNo db = served_database();
    if (db < 0) {
        count_rows(rows);
        return Datum(0);
    }
    for (memory::SlotNo i = 0; i < memory::map.shared->used_queues; i++) {
        memory::Queue &q = memory::map.queues[i];
        if (!q.used || q.db != db || memory::is_dropped(q)) continue;
        for (int s = 0; s < status_count; s++)
            put_count(rows, q.queue_id, s, q.counts[s].load() + handover::own_count(i, s));
    }
    return Datum(0);
}

namespace {

const char *state_word(const memory::WorkerSlot &w, memory::WorkerState state) {
    if (w.leave.load() != 0 || state == memory::WorkerState::Ended) return "stopping";
    return state == memory::WorkerState::Busy ? "running" : "idle";
}

void put_worker(const RowSink &rows, memory::WorkerSlot &w, const pg::Moment &now) {
    auto state = w.state.load();
    constexpr int columns = 18;
    Datum values[columns] = {};
    bool nulls[columns];
    memset(nulls, true, sizeof(nulls));
    auto set = [&](int i, Datum d) {
        values[i] = d;
        nulls[i] = false;
    };
    set(0, CStringGetTextDatum(psprintf("server/%d", w.pid)));
    set(1, CStringGetTextDatum("server"));
    set(2, Int32GetDatum(w.pid));
    set(3, Int32GetDatum(memory::map.roles[w.role].role_id));
    set(7, CStringGetTextDatum(state_word(w, state)));
    auto set_since = [&](const pg::Atomic<int64> *at) { set(8, TimestampTzGetDatum(now.to_wall(at->load()))); };
    set_since(&w.since);
    for (int i = 0; i < Min(w.n_holds.load(), memory::max_batch); i++) {
        memory::Hold &h = w.holds[i];
        if (h.state.load() != memory::HoldState::Running) continue;
        const memory::Queue &queue = memory::map.queues[h.queue];
        if (!may(memory::map.namespaces[queue.ns].ns_id, store::priv_look)) return;
        set(4, Int32GetDatum(queue.queue_id));
        set(5, Int64GetDatum(h.ref.id));
        set(6, Int32GetDatum(h.attempt));
        set_since(&w.started);
        if (const Costs costs = signal::shown_costs(w); costs.known) {
            set(10, Float8GetDatum(costs.cpu_seconds()));
            set(13, Int64GetDatum(costs.wal_bytes));
            set(14, Int64GetDatum(costs.blocks_hit));
            set(15, Int64GetDatum(costs.blocks_read));
            set(16, Int64GetDatum(costs.blocks_dirtied));
            set(17, Int64GetDatum(costs.temp_bytes));
        }
        signal::Progress progress;
        if (!signal::read_progress(&w, &progress)) continue;
        set(11, Float8GetDatum(progress.part));
        if (progress.note[0] != '\0') set(12, CStringGetTextDatum(progress.note));
    }
    rows.put(values, nulls);
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_workers) {
    RowSink rows = open_rows(fcinfo);
    memory::SlotNo db = served_database();
    if (db < 0) return Datum(0);
    pg::Moment now = pg::this_moment();
    for (memory::WorkerSlot &w : memory::map.shared->workers) {
        auto state = w.state.load();
        bool there = state != memory::WorkerState::Free && state != memory::WorkerState::Starting;
        if (w.db == db && w.pid != 0 && there) put_worker(rows, w, now);
    }
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_internal_is_condemned) { PG_RETURN_BOOL(store::is_condemned_now(PG_GETARG_INT16(0))); }
