// Searches for what was forgotten: rows that shared memory lacks, leases without their row, places that no task takes,
// lists with a wrong count. Each is a fault elsewhere. Here it is repaired, counted (view memory, kind repaired) and
// logged. See docs/internals/dispatch.md.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/group_filing.hpp"
#include "dispatch/group_sets.hpp"
#include "dispatch/hint_ids.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/recount.hpp"
#include "dispatch/reserved_leases.hpp"
#include "pg/guards.hpp"
#include "signal/incidents.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "store/scan.hpp"
#include "store/segments.hpp"
#include "task/dependencies.hpp"
#include "task/row_lock.hpp"
#include "task/transitions.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::HintIds;
using memory::map;
using memory::Repaired;

constexpr int64 look_every = 20 * int64(USECS_PER_SEC);
// A search may take this part (1/n) of processor time and, as rows may come from a disk, of all time.
constexpr int64 share_of_cpu = 1000, share = 100;
constexpr int64 patience = 5 * int64(USECS_PER_SEC);  // from the first sight to the second
constexpr int64 pause = 10 * 1000;
constexpr int blocks_in_turn = 64;
constexpr Size most_ids = 1000 * 1000;
constexpr int most_suspects = 256;

enum class Step { Rest, Scan, Confirm };

struct Suspect {
    Repaired kind;  // what it is if confirmed: Hint, Held or Lease
    TaskRef ref;
    TransactionId xmin;  // of the version of the row that was read
    int64 receipt;
};

// A queue without running tasks that still had places taken.
struct IdleQueue {
    SlotNo no;
    int64 changes;
    dispatch::PlacesLook places;
};

struct Look {
    Step step;
    MemoryContext memory;
    uint64 rebuilds;  // a rebuild in the middle ends it
    int64 spent, spent_cpu;
    pg::Deadline next;
    HintIds known;
    TransactionId end;  // rows of this and later transactions are too new to judge
    store::ScanPlace place;
    int32 queue_id;  // of the last row, and whether it exists
    bool queue_there;
    Suspect *suspects;
    int n_suspects;
    IdleQueue *idle;
    int n_idle;
    bool unfinished;  // something was not read, or was locked: another search follows, even without changes
};

constinit Look look{};
constinit int64 next_part = 0;
constinit Size more_room = 0;  // than was expected at the last search

void suspect(Repaired kind, const TaskRef &ref, TransactionId xmin, int64 receipt) {
    if (look.n_suspects < most_suspects)
        look.suspects[look.n_suspects++] = {kind, ref, xmin, receipt};
    else
        look.unfinished = true;
}

// Sums the changes of a queue's tasks. Two equal sums mean a quiet time.
int64 changes_of(SlotNo queue) {
    uint64 sum = 0;
    for (const pg::Atomic<int64> &count : map.queues[queue].counts) sum = sum * 31 + static_cast<uint64>(count.load());
    return static_cast<int64>(sum);
}

bool has_places(const dispatch::PlacesLook &p) { return p.running != 0 || p.in_groups != 0; }

void note_idle_queues() {
    auto queues = static_cast<Size>(map.shared->n_queues);
    auto *held = static_cast<int32 *>(palloc(sizeof(int32) * queues));
    auto *places = static_cast<dispatch::PlacesLook *>(palloc(sizeof(dispatch::PlacesLook) * queues));
    look.idle = static_cast<IdleQueue *>(palloc(sizeof(IdleQueue) * queues));
    dispatch::count_places(self.db, places);
    dispatch::count_held(self.db, held);
    memory::each_queue(self.db, [held, places](SlotNo q) {
        if (held[q] == 0 && has_places(places[q])) look.idle[look.n_idle++] = {q, changes_of(q), places[q]};
    });
    pfree(held);
    pfree(places);
}

bool is_row_of(const store::TaskRow &row, int64 receipt) {
    return row.status == Status::Retained && row.receipt == receipt;
}

// The number of rows per step.
void look_at_leases() {
    static constinit SlotNo next = 0;
    int rows = 4096;
    for (SlotNo i = 0; i < map.shared->n_leases && rows > 0; i++) {
        memory::Lease l;
        store::TaskRow row;
        next = (next + 1) % map.shared->n_leases;
        if (!dispatch::read_lease(next, self.db, &l) || l.owed != memory::Owed::Nothing) continue;
        rows--;
        if (!store::fetch(l.ref, false, &row) || !is_row_of(row, l.receipt))
            suspect(Repaired::Lease, l.ref, InvalidTransactionId, l.receipt);
    }
}

bool is_old(const store::TaskRow &row) {
    return !TransactionIdIsNormal(row.xmin) || TransactionIdPrecedes(row.xmin, look.end);
}

bool has_queue(const store::TaskRow &row) {
    if (look.queue_id != row.queue_id) {
        look.queue_id = row.queue_id;
        look.queue_there = store::queue_by_id(row.queue_id) != nullptr;
    }
    return look.queue_there;
}

// Returns whether the scheduler reads this task of a group when there is room (groups.cpp).
bool is_left_out(const store::TaskRow &row) {
    const SlotNo queue = row.group != 0 ? task::queue_of(row).slot : -1;
    return queue >= 0 && dispatch::is_left_out(queue, row.ref.id);
}

bool on_row(void *, const store::TaskRow &row) {
    TimestampTz due;
    if (row.status == Status::Retained) {
        if (is_old(row) && has_queue(row) && !dispatch::is_held_by_anybody(self.db, row.ref.id, row.receipt))
            suspect(Repaired::Held, row.ref, row.xmin, row.receipt);
    } else if (is_waiting(row.status) && look.known.wants(row.ref.id) && is_old(row) &&
               task::hint_time(row.flags, row.delayed_at, row.dies_at, &due) && !look.known.has(row.ref.id) &&
               has_queue(row) && !is_left_out(row)) {
        suspect(Repaired::Hint, row.ref, row.xmin, 0);
    }
    return true;
}

void end_look(const pg::Moment &now) {
    if (look.memory != nullptr) MemoryContextDelete(look.memory);
    my_db().reading.next_look = now.in(Max(look_every, Max(look.spent * share, look.spent_cpu * share_of_cpu)));
    // The other parts of the tasks follow in the next searches.
    bool more_parts = look.known.parts > 1 && look.known.part + 1 < look.known.parts;
    if (look.unfinished || more_parts) my_db().reading.changed.store(true);
    look = Look{};
}

// Makes room for the ids of one part of the hints.
void make_room() {
    Size count = dispatch::hint_count(self.db) + more_room;
    auto parts = static_cast<int64>(count / most_ids) + 1;
    Size room = count / static_cast<Size>(parts) * 3 / 2 + 64 * 1024;
    look.known = {static_cast<int64 *>(palloc_extended(room * sizeof(int64), MCXT_ALLOC_HUGE)), 0, room,
                  next_part++ % parts, parts};
}

bool collect() {
    if (!dispatch::drain_inboxes(self.db)) return false;
    bool ok = dispatch::collect_hints(self.db, &look.known);
    more_room = ok ? 0 : Max(look.known.count * static_cast<Size>(look.known.parts), more_room);
    return ok;
}

// Logs what was repaired. last: the task of the last one, 0 none.
void say_repaired(int n, int64 last) {
    ereport(
        LOG, errmsg("pgqueue found and put right %d tasks, leases, places or lists that were forgotten", n),
        last == 0
            ? errdetail("There should be none: see view pgqueue.memory, kind repaired.")
            : errdetail(
                  "There should be none: see view pgqueue.memory, kind repaired. The last one is of task " INT64_FORMAT
                  ".",
                  last));
}

// Puts back tasks that a session had popped and did not put back at its end.
void return_left() {
    int left = dispatch::take_over_left(self.db);
    if (left == 0) return;
    dispatch::return_unheld();
    for (int i = 0; i < left; i++) signal::record_repair(self.db, Repaired::Lease);
    say_repaired(left, 0);
    look.unfinished = true;
}

// Repairs lists with a wrong count.
void recount() {
    int wrong = dispatch::recount_lists(self.db);
    if (wrong == 0) return;
    for (int i = 0; i < wrong; i++) signal::record_repair(self.db, Repaired::List);
    say_repaired(wrong, 0);
}

// Returns whether tasks are known to have no hint yet.
bool files_rows() { return is_refiling() || has_missed(); }

// Returns false if that is not possible now.
bool begin() {
    memory::Database &d = my_db();
    if (d.reading.lost.load() != memory::Lost::Nothing || files_rows()) return false;
    look = Look{};
    look.rebuilds = static_cast<uint64>(d.reading.rebuilds);
    look.queue_id = -1;
    d.reading.changed.store(false);
    pg_memory_barrier();
    return_left();
    look.memory = AllocSetContextCreate(self.lasting, "pgqueue look for what was forgotten", ALLOCSET_DEFAULT_SIZES);
    bool found = false;
    bool ok = transact("look for tasks that were forgotten", [&found] {
        pg::MemoryScope scope(look.memory);
        look.suspects = static_cast<Suspect *>(palloc(sizeof(Suspect) * most_suspects));
        make_room();
        recount();
        look.end = XidFromFullTransactionId(ReadNextFullTransactionId());
        found = collect();
        note_idle_queues();
        look_at_leases();
    });
    look.step = Step::Scan;
    return ok && found;
}

// Returns whether all rows were read.
bool scan_some() {
    bool last = true;
    bool ok = transact("look at its tasks", [&last] {
        Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        last = store::scan_part(snapshot, &look.place, blocks_in_turn, on_row, nullptr);
        UnregisterSnapshot(snapshot);
    });
    look.unfinished = look.unfinished || !ok;
    return last || !ok;
}

// Repairs a suspect that has not changed. Its row is locked, so no other transaction changes it meanwhile.
bool repair_row(const Suspect &s) {
    store::TaskRow row;
    store::Locked locked = task::lock_row(s.ref, store::Wait::Skip, false, &row);
    if (locked == store::Locked::ByOther) look.unfinished = true;
    if (locked != store::Locked::Yes) return false;
    const task::QueueRef queue = task::queue_of(row);
    if (row.xmin != s.xmin || queue.info == nullptr) {
        task::let_go(queue, row);
        return false;
    }
    if (s.kind == Repaired::Held) {
        bool lost = is_row_of(row, s.receipt) && !dispatch::is_held_by_anybody(self.db, row.ref.id, s.receipt);
        if (!lost || !watch_retained(row, queue.slot, 0)) return false;
        signal::record_repair(self.db, Repaired::Held);
        return true;
    }
    if (!is_waiting(row.status)) return false;
    if (is_left_out(row)) return false;
    task::let_go(queue, row);
    signal::record_repair(self.db, Repaired::Hint);
    // In its group it has lost its place, because only the rows have the order.
    if (row.group != 0) dispatch::leave_out_all(map.queues[queue.slot].ns);
    return true;
}

// Drops a lease whose row does not have it. A lease is known before its row is committed: the transaction that retains
// the task holds the row while it is open.
bool repair_lease(const Suspect &s) {
    store::TaskRow row;
    const store::Locked locked = task::lock_row(s.ref, store::Wait::Skip, false, &row);
    if (locked == store::Locked::ByOther) look.unfinished = true;
    if (locked == store::Locked::Yes) task::let_go(task::queue_of(row), row);
    if (locked == store::Locked::ByOther || (locked == store::Locked::Yes && is_row_of(row, s.receipt))) return false;
    if (!dispatch::drop_lease(s.ref.id, s.receipt)) return false;
    signal::record_repair(self.db, Repaired::Lease);
    return true;
}

bool repair(const Suspect &s) {
    if (s.kind == Repaired::Hint && look.known.has(s.ref.id)) return false;
    return s.kind == Repaired::Lease ? repair_lease(s) : repair_row(s);
}

int repair_places() {
    auto *held = static_cast<int32 *>(palloc(sizeof(int32) * static_cast<Size>(map.shared->n_queues)));
    int repaired = 0;
    dispatch::count_held(self.db, held);
    for (int i = 0; i < look.n_idle; i++) {
        const IdleQueue &was = look.idle[i];
        if (held[was.no] != 0 || changes_of(was.no) != was.changes || dispatch::look_at_places(was.no) != was.places)
            continue;
        if (!dispatch::forget_places(was.no, was.places)) continue;
        signal::record_repair(self.db, Repaired::Place);
        repaired++;
    }
    return repaired;
}

// Checks all suspects a second time.
void confirm() {
    int repaired = 0;
    int64 last = 0;
    bool collected = false;
    bool ok = transact("put right what was forgotten", [&repaired, &last, &collected] {
        pg::MemoryScope scope(look.memory);
        collected = collect();
        if (!collected) return;
        for (int i = 0; i < look.n_suspects; i++) {
            if (!repair(look.suspects[i])) continue;
            repaired++;
            last = look.suspects[i].ref.id;
        }
        repaired += repair_places();
    });
    look.unfinished = look.unfinished || !ok || !collected;
    if (ok && repaired > 0) say_repaired(repaired, last);
}

// Performs one step. Returns when to continue.
pg::Deadline go_on(const pg::Moment &now) {
    if (look.rebuilds != static_cast<uint64>(my_db().reading.rebuilds) || files_rows()) {
        look.unfinished = look.unfinished || files_rows();
        end_look(now);
        return my_db().reading.next_look;
    }
    if (look.step == Step::Scan) {
        if (!scan_some()) return now.in(pause);
        if (look.n_suspects > 0 || look.n_idle > 0) {
            look.step = Step::Confirm;
            look.next = now.in(patience);
            return look.next;
        }
    } else {
        if (!look.next.passed(now)) return look.next;
        confirm();
    }
    end_look(now);
    return my_db().reading.changed.load() ? my_db().reading.next_look : never;
}

}  // namespace

pg::Deadline reconcile(const pg::Moment &now) {
    memory::Database &d = my_db();
    if (look.step == Step::Rest) {
        if (!d.reading.changed.load()) return never;
        if (!d.reading.next_look.passed(now)) return d.reading.next_look;
    }
    int64 began = pg::monotonic_now(), cpu = pg::cpu_now();
    bool begun = look.step != Step::Rest || begin();
    if (!begun) {
        d.reading.changed.store(true);
        end_look(now);
        return d.reading.next_look;
    }
    pg::Deadline next = go_on(now);
    look.spent += pg::monotonic_now() - began;
    look.spent_cpu += pg::cpu_now() - cpu;
    return next;
}

}  // namespace pgqueue::worker::scheduler
