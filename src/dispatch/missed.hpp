// Tasks that a large transaction did not hand over: the scheduler reads their rows, by their ids. Without a group key;
// for the others see dispatch/group_filing.hpp.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::dispatch {

// Adds the tasks of a transaction with ids from `from` to `to` to those that were not handed over, and wakes the
// scheduler. The transaction has committed. Takes the namespace lock.
void add_missed(SlotNo ns, const Missed &tasks);
// Returns the tasks to read next; to 0: there are none. Takes the namespace lock if tasks were added. The scheduler
// only, as is read_missed_to().
const Missed &next_missed(SlotNo ns);
// Records that these tasks were read up to an id.
void read_missed_to(SlotNo ns, int64 id);
// Returns whether the task may be one of those. Takes no lock.
inline bool may_be_missed(SlotNo ns, int64 id) {
    const Namespace &n = map.namespaces[ns];
    return (id >= n.missed.from && id <= n.missed.to) || (id >= n.missed_read.from && id <= n.missed_read.to);
}
// Forgets all of them, before the rows of a database are read again. Takes the locks of the namespaces.
void forget_missed(SlotNo db);

}  // namespace pgqueue::dispatch
