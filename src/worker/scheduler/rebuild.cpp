// Memory from rows. One scan under one snapshot counts every row and hints every waiting one; transactions that commit meanwhile hand their
// deltas over with their transaction id, and those that the snapshot has seen are not counted twice. Rows that processes of an earlier
// life of the server held are given back afterwards.
#include "worker/scheduler/scheduler.hpp"

#include "config/settings.hpp"
#include "dispatch/awaited.hpp"
#include "dispatch/due.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/incidents.hpp"
#include "dispatch/page_list.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/running_file.hpp"
#include "dispatch/spill.hpp"
#include "dispatch/wake.hpp"
#include "dispatch/xact.hpp"
#include "pg/errcodes.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "store/catalog.hpp"
#include "store/segments.hpp"
#include "task/lifecycle.hpp"
#include "task/route.hpp"
#include "task/workflow.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::DbState;
using dispatch::map;
using dispatch::Page;
using dispatch::page;
using dispatch::PageNo;

struct Orphan {
    int64 id;
    int32 attempt;
    SlotNo queue;
    dispatch::GroupNo group;  // 0 none: its place there is taken until the task is given back
};

struct Scan {
    Snapshot snapshot;
    int64 *counts;       // of this rebuild, by queue slot and status
    Orphan *orphans;
    int n_orphans, room;
    int pages_since_spill;
    int32 last_queue_id, last_role_id;
    SlotNo last_queue, last_lane;
    bool last_server;
};

constinit Scan scan{};
// The snapshot of the last rebuild decides about deltas that come late.
constinit TransactionId seen_xmin = InvalidTransactionId, seen_xmax = InvalidTransactionId;
constinit TransactionId *seen_running = nullptr;
constinit uint32 seen_count = 0;

// Had this top-level transaction committed when the snapshot was taken?
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
    seen_running = static_cast<TransactionId *>(MemoryContextAlloc(self.lasting, sizeof(TransactionId) * (s->xcnt + 1)));
    if (seen_count > 0) memcpy(seen_running, s->xip, sizeof(TransactionId) * seen_count);
}

void count_in_scan(const dispatch::Delta &d) {
    int64 *of_queue = scan.counts + int64(d.queue) * status_count;
    if (d.from >= 0) of_queue[d.from] -= d.count;
    if (d.to >= 0) of_queue[d.to] += d.count;
}

// Takes the deltas that were handed over and applies those the snapshot has not seen.
void take_deltas(void (*apply)(const dispatch::Delta &)) {
    PageNo no = pg_atomic_exchange_u32(&my_db().delta_inbox, 0);
    while (no != 0) {
        Page *p = page(no);
        PageNo next = p->next;
        if (!was_seen(p->xid))
            for (int i = 0; i < p->count; i++) apply(p->deltas[i]);
        dispatch::give_page(no);
        no = next;
    }
}

void add_orphan(const store::TaskRow &row) {
    if (scan.n_orphans == scan.room) {
        scan.room = scan.room == 0 ? 256 : scan.room * 2;
        Size bytes = sizeof(Orphan) * static_cast<Size>(scan.room);
        scan.orphans = static_cast<Orphan *>(scan.orphans ? repalloc_huge(scan.orphans, bytes) : MemoryContextAllocHuge(self.lasting, bytes));
    }
    dispatch::GroupNo group = row.group != 0 ? dispatch::hold_in_group(scan.last_queue, row.group) : 0;
    scan.orphans[scan.n_orphans++] = Orphan{row.ref.id, row.attempt, scan.last_queue, group};
}

// Finds slot and lane of a row, remembering the last ones: rows of one queue tend to stand together.
bool place(const store::TaskRow &row) {
    const store::QueueInfo *q = nullptr;
    if (scan.last_queue_id != row.queue_id) {
        q = store::queue_by_id(row.queue_id);
        scan.last_queue_id = row.queue_id;
        scan.last_queue = q ? task::slot_of(*q) : -1;
        scan.last_role_id = -1;
    }
    if (scan.last_queue < 0) return false;
    if (!is_waiting(row.status)) return true;
    q = q ? q : store::queue_by_id(row.queue_id);
    bool server = task::runs_in_server(*q, row.flags);
    if (task::by_handlers(*q, row.flags)) {
        pg::TempContext scratch;
        scan.last_role_id = -1;
        scan.last_lane = task::lane_of_row(*q, row);
        return true;
    }
    if (scan.last_role_id != row.role_id || scan.last_server != server) {
        scan.last_role_id = row.role_id;
        scan.last_server = server;
        scan.last_lane = task::lane_of(*q, row.role_id, server);
    }
    return true;
}

void make_room() {
    if (dispatch::free_pages() < dispatch::low_water()) dispatch::spill_pages(self.db, dispatch::low_water());
}

bool on_row(void *, const store::TaskRow &row) {
    if (!place(row)) return true;
    scan.counts[int64(scan.last_queue) * status_count + static_cast<int>(row.status)]++;
    if (is_waiting(row.status)) {
        TimestampTz due;
        if (!task::hint_time(row.flags, row.delayed_at, row.dies_at, &due)) return true;
        if (due <= GetCurrentStatementStartTimestamp()) due = 0;
        if (dispatch::free_pages() == 0) make_room();
        uint64 group = (row.flags & flag_waits) != 0 ? 0 : row.group;
        dispatch::file_hint({row.ref, scan.last_lane, row.priority, due, row.dies_at, group, dispatch::Comes::New});
    } else if (row.status == Status::Retained && row.epoch == 0) {
        restore_lease(row, scan.last_queue);
    } else if (row.status == Status::Failed && (row.flags & flag_suspect) != 0) {
        dispatch::note_incident(self.db, dispatch::Incident::Quarantined, row.ref.id);
    } else if (row.status == Status::Retained && row.epoch != 0 && row.epoch != map.shared->boot_epoch) {
        add_orphan(row);
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

// Whom the last life of the server held: charged when it was executing, else as if it had never been taken.
void give_back_orphan(const Orphan &o) {
    task::Place place;
    bool ok = transact("give back a task of an earlier life of the server", [&] {
        store::TaskRow row;
        if (store::lock_by_id(o.id, store::Wait::Skip, false, &row) != store::Locked::Yes || row.status != Status::Retained || row.attempt != o.attempt) return;
        TimestampTz now = GetCurrentTimestamp();
        if (dispatch::was_executing(MyDatabaseId, o.id, o.attempt))
            task::charge_crash(&row, err::worker_ended, "the server crashed while the task ran", now);
        else
            task::give_back(&row, &place);
    });
    if (ok) task::take_place(place);
    if (o.group != 0) dispatch::end_group(o.queue, o.group, false);
}

void publish_counts() {
    for (SlotNo q = 0; q < map.shared->used_queues; q++) {
        dispatch::Queue &queue = map.queues[q];
        if (!queue.used || queue.db != self.db) continue;
        for (int s = 0; s < status_count; s++) pg_atomic_write_u64(&queue.counts[s], static_cast<uint64>(scan.counts[int64(q) * status_count + s]));
    }
}

void clear_memory() {
    for (uint32 i = 0; i < pg_atomic_read_u32(&my_db().namespaces); i++)
        dispatch::give_chain(pg_atomic_exchange_u32(&map.namespaces[my_db().ns[i]].inbox, 0));
    dispatch::clear_groups(self.db);
    dispatch::clear_ready(self.db);
    dispatch::clear_due(self.db);
    dispatch::reset_spill_file(self.db);
    dispatch::free_dropped_queues(self.db);
}

void scan_rows() {
    scan.snapshot = RegisterSnapshot(GetLatestSnapshot());
    remember_snapshot(scan.snapshot);
    load_configuration();
    PGQUEUE_TESTPOINT("scheduler-rebuild");
    store::scan(scan.snapshot, on_row, between_pages, nullptr);
    UnregisterSnapshot(scan.snapshot);
}

}  // namespace

bool has_late_deltas() { return pg_atomic_read_u32(&my_db().delta_inbox) != 0; }

void apply_late_deltas() { take_deltas(dispatch::apply_delta); }

void rebuild() {
    dispatch::Database &d = my_db();
    charge_executed();
    pg_atomic_write_u32(&d.state, static_cast<uint32>(DbState::Loading));
    pg_memory_barrier();
    pg_atomic_write_u32(&d.lost, 0);
    pg_memory_barrier();
    clear_memory();
    dispatch::give_chain(pg_atomic_exchange_u32(&d.delta_inbox, 0));
    scan = Scan{};
    scan.counts = static_cast<int64 *>(MemoryContextAllocZero(self.lasting, sizeof(int64) * status_count * static_cast<Size>(map.shared->n_queues)));
    bool ok = transact("read its tasks", [] { scan_rows(); });
    if (!ok) ereport(FATAL, errcode(ERRCODE_INTERNAL_ERROR), errmsg("pgqueue scheduler could not read the tasks of its database"));
    take_deltas(count_in_scan);
    publish_counts();
    pg_memory_barrier();
    pg_atomic_write_u32(&d.state, static_cast<uint32>(DbState::Ready));
    apply_late_deltas();
    dispatch::open_groups(self.db);
    ConditionVariableBroadcast(&map.shared->loaded[self.db]);
    // From the last one, so that they stand in their order again.
    for (int i = scan.n_orphans; i-- > 0;) give_back_orphan(scan.orphans[i]);
    check_restored();
    dispatch::clear_executed(MyDatabaseId);
    dispatch::post_settle_all(self.db);
    d.rebuilds++;
    if (scan.orphans) pfree(scan.orphans);
    pfree(scan.counts);
    scan.orphans = nullptr;
    scan.counts = nullptr;
}

}  // namespace pgqueue::worker::scheduler
