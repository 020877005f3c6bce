// Rebuilds shared memory from rows. One scan under one snapshot counts every row and hints every waiting one.
// Transactions that commit meanwhile hand over their deltas with their transaction id, and deltas that the snapshot has
// seen are not counted twice. Rows that processes of an earlier life of the server held are given back afterwards.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "dispatch/due.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/free_dropped.hpp"
#include "dispatch/group_sets.hpp"
#include "dispatch/lanes.hpp"
#include "dispatch/missed.hpp"
#include "dispatch/spill.hpp"
#include "handover/counts.hpp"
#include "memory/page_list.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "pg/errcodes.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "signal/dependency_posts.hpp"
#include "signal/incidents.hpp"
#include "signal/running_file.hpp"
#include "store/catalog.hpp"
#include "store/dependencies.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/scan.hpp"
#include "store/segments.hpp"
#include "task/dependencies.hpp"
#include "task/route.hpp"
#include "task/transitions.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::DbState;
using memory::map;
using memory::Page;
using memory::page;
using memory::PageNo;

struct Scan {
    Snapshot snapshot;
    int64 *counts;       // counts of this rebuild, by queue slot and status
    int64 *edges;        // open edges, by namespace slot
    int64 *groups;       // by namespace slot: the least id of a waiting task with a group key, INT64_MAX none
    bool awaited_known;  // the edges are already counted for their tasks
    int64 retained;      // rows seen
    int pages_since_spill;
    int32 last_queue_id, last_role_id;
    SlotNo last_queue, last_lane;
    bool last_server;
};

constinit Scan scan{};
// The snapshot of the last rebuild decides about late deltas.
constinit TransactionId seen_xmin = InvalidTransactionId, seen_xmax = InvalidTransactionId;
constinit TransactionId *seen_running = nullptr;
constinit uint32 seen_count = 0;

// Returns whether this top-level transaction had committed when the snapshot was taken.
bool was_seen(TransactionId xid) {
    if (!TransactionIdIsValid(xid) || TransactionIdPrecedes(xid, seen_xmin)) return true;
    if (TransactionIdFollowsOrEquals(xid, seen_xmax)) return false;
    for (uint32 i = 0; i < seen_count; i++)
        if (seen_running[i] == xid) return false;
    return true;
}

void remember_snapshot(Snapshot s) {
    if (seen_running != nullptr) pfree(seen_running);
    seen_xmin = s->xmin;
    seen_xmax = s->xmax;
    seen_count = s->xcnt;
    seen_running =
        static_cast<TransactionId *>(MemoryContextAlloc(self.lasting, sizeof(TransactionId) * (s->xcnt + 1)));
    if (seen_count > 0) memcpy(seen_running, s->xip, sizeof(TransactionId) * seen_count);
}

void count_in_scan(const memory::Delta &d) {
    if (d.from == memory::edges || d.to == memory::edges) {
        scan.edges[d.slot] += d.to == memory::edges ? d.count : -d.count;
        return;
    }
    int64 *of_queue = scan.counts + int64(d.slot) * memory::count_kinds;
    if (d.from >= 0) of_queue[d.from] -= d.count;
    if (d.to >= 0) of_queue[d.to] += d.count;
}

// Takes the handed-over deltas, and applies those that the snapshot has not seen.
void take_deltas(void (*apply)(const memory::Delta &)) {
    PageNo no = my_db().reading.deltas.exchange(0);
    while (no != 0) {
        Page *p = page(no);
        PageNo next = p->next;
        if (!was_seen(p->xid))
            for (int i = 0; i < p->count; i++) apply(p->deltas[i]);
        memory::give_page(no);
        no = next;
    }
}

// Finds the slot and lane of a row. Remembers the last ones, because rows of one queue are often adjacent.
bool place(const store::TaskRow &row) {
    const store::QueueInfo *q = nullptr;
    if (scan.last_queue_id != row.queue_id) {
        q = store::queue_by_id(row.queue_id);
        scan.last_queue_id = row.queue_id;
        scan.last_queue = q ? task::ensure_entry(*q) : -1;
        scan.last_role_id = -1;
    }
    if (scan.last_queue < 0) return false;
    if (!is_waiting(row.status)) return true;
    q = q ? q : store::queue_by_id(row.queue_id);
    if (q == nullptr) return false;  // deleted since the row before
    bool server = task::runs_in_server(*q, row.flags);
    if (task::by_handlers(*q, row.flags)) {
        pg::TempContext scratch;
        scan.last_role_id = -1;
        scan.last_lane = task::ensure_lane_of(task::ref_of(*q), row);
        return true;
    }
    if (scan.last_role_id != row.role_id || scan.last_server != server) {
        scan.last_role_id = row.role_id;
        scan.last_server = server;
        scan.last_lane = task::ensure_lane_for(task::ref_of(*q), row.role_id, server);
    }
    return true;
}

void make_room() {
    if (memory::free_pages() < memory::low_water()) dispatch::spill_pages(self.db, memory::low_water());
}

void note_failed(pg::Atomic<TimestampTz> *since, TimestampTz finished_at) {
    if (since->load() == 0 || finished_at < since->load()) since->store(finished_at);
}

bool on_row(void *, const store::TaskRow &row) {
    if (!place(row)) return true;
    int64 *counts = scan.counts + int64(scan.last_queue) * memory::count_kinds;
    counts[static_cast<int>(row.status)]++;
    if (row.status == Status::Failed) note_failed(&map.queues[scan.last_queue].failed_since, row.finished_at);
    if (is_waiting(row.status)) {
        if (task::waits_for_others(row)) counts[memory::awaiting]++;
        TimestampTz due;
        if (!task::hint_time(row.flags, row.delayed_at, row.dies_at, &due)) return true;
        if (due <= GetCurrentStatementStartTimestamp()) due = 0;
        if (memory::free_pages() == 0) make_room();
        uint64 group = (row.flags & flag_waits) != 0 ? 0 : row.group;
        // Those of groups are read afterwards, in their order; only their end is noted now.
        int64 *least = &scan.groups[map.queues[scan.last_queue].ns];
        if (group != 0) *least = Min(*least, row.ref.id);
        dispatch::enqueue({row.ref, scan.last_lane, row.priority, due, row.dies_at, group, memory::Arrival::Behind});
    } else if (row.status == Status::Retained) {
        (void)watch_retained(row, scan.last_queue, scan.retained++);
    } else if (row.status == Status::Failed && (row.flags & flag_suspect) != 0) {
        signal::record_incident(self.db, memory::Incident::Quarantined, row.ref.id);
    }
    return true;
}

void between_pages(void *) {
    if (++scan.pages_since_spill < 64) return;
    scan.pages_since_spill = 0;
    take_deltas(count_in_scan);
    dispatch::drain_inboxes(self.db);
    make_room();
}

void publish_counts() {
    memory::each_namespace(self.db, [](SlotNo ns) { map.namespaces[ns].edges.store(scan.edges[ns]); });
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        memory::Queue &queue = map.queues[q];
        if (!queue.used || queue.db != self.db) continue;
        for (int k = 0; k < memory::count_kinds; k++)
            queue.counts[k].store(scan.counts[int64(q) * memory::count_kinds + k]);
        if (queue.counts[static_cast<int>(Status::Failed)].load() == 0) queue.failed_since.store(0);
    }
    my_db().dependencies.edges_known.store(true);
}

void clear_memory() {
    memory::each_namespace(self.db, [](SlotNo ns) { dispatch::forget_handed_over(ns); });
    dispatch::forget_missed(self.db);
    dispatch::clear_groups(self.db);
    dispatch::clear_ready(self.db);
    dispatch::clear_due(self.db);
    dispatch::reset_spill_file(self.db);
    dispatch::free_dropped(self.db);
}

// Counts edges. The end of a task must lead to its dependents, including edges from an earlier life of the server.
void count_edges() {
    PushActiveSnapshot(scan.snapshot);
    store::each_awaited([](int64 awaited, int32 ns_id, int32 count) {
        if (!scan.awaited_known) signal::add_awaited(self.db, awaited, count);
        SlotNo ns = memory::find_namespace(self.db, ns_id);
        if (ns >= 0) scan.edges[ns] += count;
    });
    PopActiveSnapshot();
}

void scan_rows() {
    scan.snapshot = RegisterSnapshot(GetLatestSnapshot());
    remember_snapshot(scan.snapshot);
    load_configuration();
    PGQUEUE_TESTPOINT("scheduler-rebuild");
    count_edges();
    store::scan(scan.snapshot, on_row, between_pages, nullptr);
    UnregisterSnapshot(scan.snapshot);
}

}  // namespace

bool has_late_deltas() { return my_db().reading.deltas.load() != 0; }

void apply_late_deltas() { take_deltas(handover::apply_delta); }

namespace {

int64 *counters(Size n) { return static_cast<int64 *>(MemoryContextAllocZero(self.lasting, sizeof(int64) * n)); }

void forget_counters() {
    pfree(scan.counts);
    pfree(scan.edges);
    pfree(scan.groups);
    scan.counts = scan.edges = scan.groups = nullptr;
}

// Tries once. Returns false if the rows could not be read; then shared memory is incomplete.
bool read_again() {
    memory::Database &d = my_db();
    d.service.state.store(DbState::Loading);
    d.reading.begun.fetch_add(1);
    d.reading.lost.store(memory::Lost::Nothing);
    pg_memory_barrier();
    clear_memory();
    memory::give_chain(d.reading.deltas.exchange(0));
    scan = Scan{};
    scan.awaited_known = d.dependencies.edges_known.load();
    scan.counts = counters(memory::count_kinds * static_cast<Size>(map.shared->n_queues));
    scan.edges = counters(static_cast<Size>(map.shared->n_namespaces));
    scan.groups = counters(static_cast<Size>(map.shared->n_namespaces));
    for (int i = 0; i < map.shared->n_namespaces; i++) scan.groups[i] = INT64_MAX;
    if (!transact("read its tasks", [] { scan_rows(); })) {
        forget_counters();
        return false;
    }
    take_deltas(count_in_scan);
    publish_counts();
    (void)follow_statistics(pg::this_moment());
    pg_memory_barrier();
    d.service.state.store(DbState::Ready);
    apply_late_deltas();
    dispatch::open_groups(self.db, scan.groups);
    owe_charges();
    ConditionVariableBroadcast(&map.shared->loaded[self.db]);
    signal::post_settle_all(self.db);
    d.reading.rebuilds++;
    forget_counters();
    return true;
}

// Waits, as long as the database needs a scheduler. Wake-ups do not shorten the wait, because there may be thousands in
// a second.
void rest(long ms) {
    pg::Deadline end = pg::this_moment().in(int64{ms} * 1000);
    while (should_stay() && !end.passed(pg::this_moment())) {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pg::ms_until(end),
                        pg::wait_event("PgqueueScheduler"));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace

// Waits here for a locked table, for instance: without the rows there is nothing else to do. After about a minute
// another scheduler tries.
void rebuild() {
    constexpr int most_attempts = 60;
    charge_executed();
    for (int attempts = 1; !read_again(); attempts++) {
        if (attempts == most_attempts || !should_stay()) give_up("read the tasks of its database");
        rest(Min(20L << Min(attempts, 10), 1000L));
    }
}

}  // namespace pgqueue::worker::scheduler
