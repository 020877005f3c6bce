// Leases of outside workers that the scan of the rows finds and memory does not know: an earlier life of the server gave them.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/lease.hpp"
#include "store/catalog.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using dispatch::map;

struct Restored {
    TaskRef ref;
    int64 receipt;
};

// Of this rebuild.
constinit Restored *restored = nullptr;
constinit int n_restored = 0, room = 0;

void remember(const store::TaskRow &row) {
    if (n_restored == room) {
        room = room == 0 ? 256 : room * 2;
        Size bytes = sizeof(Restored) * static_cast<Size>(room);
        restored = static_cast<Restored *>(restored ? repalloc_huge(restored, bytes) : MemoryContextAllocHuge(self.lasting, bytes));
    }
    restored[n_restored++] = Restored{row.ref, row.receipt};
}

// How long it holds: as long as it was given for, one that was extended from its start to its last end. A clock that was set back meanwhile
// leaves the queue's.
int64 full_length(const store::TaskRow &row) {
    if (row.lease_until > row.started_at) return row.lease_until - row.started_at;
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    return q != nullptr && q->lease > 0 ? q->lease : 1;
}

// A lease that nobody has given in this life of the server: whatever a session tells is newer.
dispatch::LeaseTime restored_time(const store::TaskRow &row) { return {0, row.lease_until != 0 ? pg::monotonic_now() + full_length(row) : 0, row.lease_until}; }

void check(const Restored &r) {
    store::TaskRow row;
    if (!store::fetch(r.ref, false, &row) || row.status != Status::Retained || row.receipt != r.receipt)
        dispatch::drop_lease(r.ref.id, r.receipt);
    else
        dispatch::move_lease(r.ref.id, r.receipt, restored_time(row), InvalidOid);
}

}  // namespace

// It holds from now on for its full length: extensions may have been lost.
void restore_lease(const store::TaskRow &row, SlotNo queue) {
    dispatch::Lease lease;
    if (dispatch::find_lease(row.ref.id, &lease)) return;
    std::span<const SlotNo> entries = dispatch::reserve_leases(1);
    if (entries.empty()) return;
    dispatch::GroupNo group = row.group != 0 ? dispatch::hold_in_group(queue, row.group) : 0;
    dispatch::add_lease(entries[0], {queue, group, row.ref, row.receipt, row.priority, row.attempt, restored_time(row), row.dies_at, false, InvalidOid});
    pg_atomic_fetch_add_u32(&map.queues[queue].running, 1);
    pg_atomic_fetch_add_u32(&map.namespaces[map.queues[queue].ns].running, 1);
    remember(row);
}

// An end or an extension that committed after the snapshot of the scan, and told memory before the lease was there, is not known yet: the lease
// would keep its place under the limits, or wait for a word that does not come. Who tells memory later finds it.
void check_restored() {
    transact("look at restored leases", [] {
        for (int i = 0; i < n_restored; i++) check(restored[i]);
    });
    if (restored != nullptr) pfree(restored);
    restored = nullptr;
    n_restored = room = 0;
}

}  // namespace pgqueue::worker::scheduler
