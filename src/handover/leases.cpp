#include "handover/leases.hpp"

#include "dispatch/ended_leases.hpp"
#include "dispatch/filing.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/reserved_leases.hpp"
#include "dispatch/session_leases.hpp"
#include "handover/notes.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"

namespace pgqueue::handover {
namespace {

enum class Kind { Retained, Over, Extended };

struct HoldNote {
    SubTransactionId sub;
    Kind kind;
    SlotNo queue;
    int32 priority;
    int64 receipt;
    TaskRef ref;
    uint64 key;        // Retained: of its group
    TimestampTz dies;  // Retained
    LeaseTime time;    // Retained, Extended
};

constinit Notes<HoldNote> holds{};

HoldNote *add_note(Kind kind, int64 receipt, const TaskRef &ref) {
    HoldNote *n = holds.add();
    *n = HoldNote{n->sub, kind, -1, 0, receipt, ref, 0, 0, {}};
    return n;
}

// Gives the task back as if it had never been taken. It is first in line again.
void give_back(const HoldNote &n) {
    // The scheduler may have ended the lease between the abort and now. The hint is missing then as well.
    LimitPlace place;
    bool held = dispatch::take_lease_out(n.ref.id, n.receipt, &place);
    // Its group continues once the task is back.
    dispatch::put_back(n.queue, n.priority, n.ref, n.key, n.dies);
    if (held) dispatch::end_running(place.queue, place.group);
}

// The lease continues. If it has ended meanwhile, under the row's lock, the scheduler must see that now.
void leave(const HoldNote &n) {
    Lease lease;
    if (!dispatch::find_lease(n.ref.id, &lease, n.receipt) || !dispatch::is_over(lease, pg::this_moment())) return;
    dispatch::lower_lease_bound(lease.db, 1);
    wake_scheduler(lease.db);
}

}  // namespace

void hold_lease(SlotNo entry, const dispatch::LeaseRequest &lease, uint64 key) {
    HoldNote *n = add_note(Kind::Retained, lease.receipt, lease.ref);
    n->queue = lease.queue;
    n->priority = lease.priority;
    n->key = key;
    n->dies = lease.dies;
    n->time = lease.time;
    dispatch::add_lease(entry, lease);
}

void end_lease_at_commit(int64 id, int64 receipt) { add_note(Kind::Over, receipt, TaskRef{id, 0, 0, 0}); }

void extend_lease_at_commit(int64 id, int64 receipt, const LeaseTime &time) {
    dispatch::give_leases_back_at_exit();  // a lease whose holder is unknown becomes this session's
    add_note(Kind::Extended, receipt, TaskRef{id, 0, 0, 0})->time = time;
}

bool any_holds() { return holds.count > 0 || dispatch::any_unheld(); }
bool has_noted_holds() { return holds.used(); }
void forget_holds() { holds.reset(); }
void hand_up_holds(SubTransactionId sub, SubTransactionId parent) { holds.hand_up(sub, parent); }

void commit_holds(SlotNo db) {
    constexpr int at_once = 128;
    int64 earliest = INT64_MAX, dies = INT64_MAX;
    LimitPlace over[at_once];
    std::size_t n_over = 0;
    for (int i = 0; i < holds.count; i++) {
        const HoldNote &n = holds.items[i];
        if (n.kind == Kind::Extended) dispatch::set_lease_end(n.ref.id, n.receipt, n.time, GetUserId());
        if (n.time.ends != 0) earliest = Min(earliest, n.time.ends);
        if (n.dies != 0) dies = Min(dies, n.dies);
        if (n.kind == Kind::Over && dispatch::take_lease_out(n.ref.id, n.receipt, &over[n_over])) n_over++;
        if (n_over < at_once) continue;
        dispatch::end_running_all({over, n_over});
        n_over = 0;
    }
    dispatch::end_running_all({over, n_over});
    wake_scheduler_by(db, {earliest});
    wake_scheduler_at(db, dies);
    forget_holds();
}

void abort_holds(SubTransactionId sub) {
    dispatch::return_unheld();
    for (; holds.count > 0 && (sub == InvalidSubTransactionId || holds.items[holds.count - 1].sub == sub);
         holds.count--) {
        const HoldNote &n = holds.items[holds.count - 1];
        if (n.kind == Kind::Retained)
            give_back(n);
        else
            leave(n);
    }
}

}  // namespace pgqueue::handover
