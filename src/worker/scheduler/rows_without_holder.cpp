// Handles retained rows that the scan finds: afterwards each has a holder in shared memory, or an entry for what the
// scheduler owes it.
#include "worker/scheduler/scheduler.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/reserved_leases.hpp"
#include "signal/running_file.hpp"
#include "store/rows.hpp"
#include "task/end_lease.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::Owed;

// Counts a held task in its group, and returns the group; 0 none.
memory::GroupNo group_of(const store::TaskRow &row, SlotNo queue) {
    return row.group != 0 ? dispatch::hold_in_group(queue, row.group) : 0;
}

// Restores a lease of an earlier life of the server. It holds for its full length from now on. A lease that ended or
// was extended after the scan's snapshot, but before its entry existed, was missed. So its row is read once more. Later
// changes find the entry.
bool restore_lease(const store::TaskRow &row, SlotNo queue) {
    std::span<const SlotNo> entries = dispatch::reserve_leases(1);
    if (entries.empty()) return false;
    dispatch::add_lease(entries[0], {queue, group_of(row, queue), row.ref, row.receipt, row.priority, row.attempt,
                                     task::restored_time(row), row.dies_at, false, InvalidOid, Owed::Check});
    dispatch::take_places(queue);
    return true;
}

// Notes what is owed to a row whose process is gone. If the process belonged to an earlier life of the server, the task
// is charged if it was executing, or else given back as if never taken.
bool owe_orphan(const store::TaskRow &row, SlotNo queue, int64 order) {
    bool this_life = row.epoch == memory::map.shared->boot_epoch;
    Owed what =
        !this_life && signal::was_executing(MyDatabaseId, row.ref.id, row.attempt) ? Owed::Crash : Owed::GiveBack;
    if (!dispatch::owe({queue, group_of(row, queue), row.ref, row.receipt, row.priority, row.attempt, what, order}))
        return false;
    dispatch::take_places(queue);
    return true;
}

}  // namespace

bool watch_retained(const store::TaskRow &row, SlotNo queue, int64 order) {
    if (dispatch::is_held_by_anybody(self.db, row.ref.id, row.receipt)) return true;
    return row.epoch == 0 ? restore_lease(row, queue) : owe_orphan(row, queue, order);
}

}  // namespace pgqueue::worker::scheduler
